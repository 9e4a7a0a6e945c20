/**
 * Versioned records: rooms, channels, members, agents, and what later services keep.
 *
 * What every adapter promises:
 * - Each method is one atomic step. Versions of one record grow by 1 with each put, from 1; a record deleted and put
 *   again starts above its last version while the adapter remembers it, and at 1 afterwards.
 * - `maxInParent` is checked in the same step as the put.
 * - A record with `expiresAtMs` is not returned from that moment on (store's clock), and may be removed any time after.
 * - Values are JSON: plain objects of strings, numbers, booleans, arrays and such objects.
 * - A record that fails its checksum is never returned: get, list, and a put or delete that names a version throw
 *   DATA_DAMAGED. One that names none replaces or removes it, which heals it.
 * - A driver's errors become BusError STORAGE_UNAVAILABLE.
 */
export interface Directory {
  get(key: RecordKey): Promise<DirectoryRecord | undefined>;

  /** Writes a record. */
  put(key: RecordKey, value: object, options?: PutOptions): Promise<PutOutcome>;

  /** Removes a record, when `expectedVersion` is given only at that version. Answers whether it was removed. */
  delete(key: RecordKey, expectedVersion?: number): Promise<boolean>;

  /** Records of a kind (and of a parent, when given) by (parent, id), after `after`. At most `limit` (1 to 1,000). */
  list(request: ListRequest): Promise<readonly DirectoryRecord[]>;

  /** How many live records a parent has. */
  count(kind: string, parent: string): Promise<number>;
}

export interface RecordKey {
  /** "room", "channel", "member", "agent", ... */
  readonly kind: string;
  /** What it belongs to: a channel's room, a member's "room:channel"; "" for none. */
  readonly parent: string;
  readonly id: string;
}

export interface DirectoryRecord {
  readonly key: RecordKey;
  readonly version: number;
  readonly value: object;
  /** 0: never. */
  readonly expiresAtMs: number;
}

export interface PutOptions {
  /** The version it must have now; 0: it must not exist. Unset: whatever it has. */
  readonly expectedVersion?: number;
  /** When it creates a record: refused as "full" when the parent has so many already. */
  readonly maxInParent?: number;
  /** It expires so long after the put, by the store's clock. 0 or unset: never. */
  readonly timeToLiveMs?: number;
}

export type PutOutcome =
  | { readonly kind: "stored"; readonly version: number; readonly expiresAtMs: number }
  /** The record is not at `expectedVersion`; `current` is what is there. */
  | { readonly kind: "conflict"; readonly current: DirectoryRecord | undefined }
  | { readonly kind: "full" };

export interface ListRequest {
  readonly kind: string;
  readonly parent?: string;
  readonly after?: { readonly parent: string; readonly id: string };
  readonly limit: number;
}
