import { createHash } from "node:crypto";
import { damagedRecord } from "../damaged-record.ts";
import type { DirectoryRecord, RecordKey } from "../directory.ts";
import type { RecordPlace } from "../record-order.ts";

// Names and ids have no NUL, so the parts cannot run into each other, and places sort by parent first.
export const placeOf = ({ parent, id }: RecordPlace): string => `${parent}\0${id}`;

export function keyOf(kind: string, place: Buffer): RecordKey {
  const [parent, id] = place.toString().split("\0") as [string, string];
  return { kind, parent, id };
}

/** Reads "version:expiresAtMs:1:check:json", as scripts/lua-records.ts stores it. Throws DATA_DAMAGED. */
export function parseRecord(key: RecordKey, raw: Buffer): DirectoryRecord {
  const [, facts, version, expiresAtMs, check] = /^((\d+):(\d+):1:)([0-9a-f]{12}):/.exec(raw.toString("latin1")) ?? [];
  if (facts === undefined) throw damagedRecord(key);
  const json = raw.subarray(facts.length + 13);
  const expected = createHash("sha1")
    .update(`${placeOf(key)}\n${facts}`)
    .update(json)
    .digest("hex")
    .slice(0, 12);
  if (expected !== check) throw damagedRecord(key);
  return { key, version: Number(version), value: JSON.parse(json.toString()), expiresAtMs: Number(expiresAtMs) };
}
