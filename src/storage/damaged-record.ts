import { BusError } from "../core/errors.ts";
import type { RecordKey } from "./directory.ts";

/** What a record that fails its checksum is told as, whoever asks for it. */
export function damagedRecord({ kind, parent, id }: RecordKey): BusError {
  const name = [kind, parent, id].filter((part) => part !== "").join(" ");
  return new BusError("DATA_DAMAGED", `the directory record ${JSON.stringify(name)} fails its checksum`);
}
