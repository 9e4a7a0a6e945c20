import pg from "pg";

const BYTEA = 17;
const INT8 = 20;
const INT8_ARRAY = 1016;
const UUID = 2950;

const parsers: Readonly<Record<number, (text: string) => unknown>> = {
  // Sequences, times and sizes are safe integers.
  [INT8]: Number,
  [INT8_ARRAY]: (text) => (text === "{}" ? [] : text.slice(1, -1).split(",").map(Number)),
  [BYTEA]: (text) => Buffer.from(text.slice(2), "hex"),
  [UUID]: (text) => text.replaceAll("-", ""),
};

/** How columns come out of the driver: our own few types, the driver's for the rest. Only for results in text format. */
export const valueTypes = {
  getTypeParser(oid: number, format?: "text" | "binary") {
    return parsers[oid] ?? pg.types.getTypeParser(oid, format as "text");
  },
} as pg.CustomTypesConfig;
