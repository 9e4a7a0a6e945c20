import { hash } from "node:crypto";
import type { RecordKey } from "../directory.ts";

export interface ChecksummedRecord {
  readonly key: RecordKey;
  readonly version: number;
  /** 0: never. */
  readonly expiresAtMs: number;
  /** Null: deleted. */
  readonly value: string | null;
}

/** What `record_checksum` in the server answers: 48 bits. */
export function recordChecksum({ key, version, expiresAtMs, value }: ChecksummedRecord): number {
  const { kind, parent, id } = key;
  const facts = [kind, parent, id, version, expiresAtMs, value === null ? "-" : `+${value}`].join("\n");
  return Number.parseInt(hash("sha256", facts, "hex").slice(0, 12), 16);
}
