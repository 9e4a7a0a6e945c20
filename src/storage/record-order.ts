import type { PutOptions } from "./directory.ts";

/** Where a record stands among those of its kind. */
export interface RecordPlace {
  readonly parent: string;
  readonly id: string;
}

/** By parent, then by id, both by UTF-16 code units; names are ASCII, so every backend's binary order agrees. */
export function compareRecordKeys(a: RecordPlace, b: RecordPlace): number {
  if (a.parent !== b.parent) return a.parent < b.parent ? -1 : 1;
  if (a.id === b.id) return 0;
  return a.id < b.id ? -1 : 1;
}

/** When a record that is put now expires; 0: never. */
export function expiryOf({ timeToLiveMs = 0 }: PutOptions, nowMs: number): number {
  return timeToLiveMs > 0 ? nowMs + timeToLiveMs : 0;
}

/** Whether a record that expires then is still returned; 0: never expires. */
export function isLive(expiresAtMs: number, nowMs: number): boolean {
  return expiresAtMs === 0 || expiresAtMs > nowMs;
}

/** Refuses what no caller should ask, the same in every adapter. */
export function checkListLimit(limit: number): void {
  if (!Number.isInteger(limit) || limit < 1 || limit > 1_000) {
    throw new RangeError(`a list's limit must be from 1 to 1000, not ${limit}`);
  }
}
