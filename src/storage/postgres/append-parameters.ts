import { byteaArray, int8Array, textArray, uuidArray } from "./binary-array.ts";
import type { RecordColumns } from "./prepared-batch.ts";

/** The records of one append, as the parameters that `append` and `store` take last. */
export function appendParameters(columns: readonly RecordColumns[]): readonly (Buffer | null)[] {
  const ends = new Array<number>(columns.length);
  let end = 0;
  let hasAudience = false;
  let hasTimeToLive = false;
  for (let i = 0; i < columns.length; i++) {
    const { record, audience } = columns[i]!;
    end += record.body.length;
    ends[i] = end;
    hasAudience ||= audience !== null;
    hasTimeToLive ||= record.timeToLiveMs > 0;
  }
  return [
    uuidArray(columns.map(({ key }) => key)),
    int8Array(columns.map(({ record }) => record.contentDigest)),
    textArray(columns.map(({ record }) => record.id)),
    textArray(columns.map(({ record }) => record.sender)),
    int8Array(ends),
    int8Array(columns.map(({ checksum }) => checksum)),
    byteaArray(columns.map(({ record }) => record.body)),
    hasAudience ? textArray(columns.map(({ audience }) => audience)) : null,
    hasTimeToLive ? int8Array(columns.map(({ record }) => record.timeToLiveMs)) : null,
  ];
}

/** How the statements name these parameters, from `$first` on. */
export function appendPlaceholders(first: number): string {
  const types = ["uuid[]", "int8[]", "text[]", "text[]", "int8[]", "int8[]", "bytea[]", "text[]", "int8[]"];
  return types.map((type, i) => `$${first + i}::${type}`).join(", ");
}
