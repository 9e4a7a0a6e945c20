import { damagedRecord } from "../damaged-record.ts";
import type { Directory, DirectoryRecord, ListRequest, PutOptions, PutOutcome, RecordKey } from "../directory.ts";
import { checkListLimit, compareRecordKeys, type RecordPlace } from "../record-order.ts";
import type { RedisKeys } from "./keys.ts";
import type { RedisConnection } from "./redis-connection.ts";
import { COUNT_RECORDS } from "./scripts/count-records.ts";
import { DELETE_RECORD } from "./scripts/delete-record.ts";
import { GET_RECORD } from "./scripts/get-record.ts";
import { LIST_RECORDS } from "./scripts/list-records.ts";
import { PUT_RECORD } from "./scripts/put-record.ts";
import type { RedisScript } from "./scripts/script.ts";
import { keyOf, parseRecord, placeOf } from "./stored-record.ts";

/** Kinds are constants of the bus; those beyond so many are not swept. */
const MAX_SWEPT_KINDS = 100;
/** Steps of one sweep on one kind: the next sweep goes on. */
const SWEEP_STEPS = 20;

/**
 * Records in Redis: all of one kind under one hash tag, so that lists and limits of a parent are one step on one server
 * of a cluster. 100,000 agents are one hash and one sorted set, about 50 MB; a kind's writes are those of one server.
 */
export class RedisDirectory implements Directory {
  readonly #connection: RedisConnection;
  readonly #keys: RedisKeys;
  readonly #kinds = new Set<string>();

  constructor(connection: RedisConnection, keys: RedisKeys) {
    this.#connection = connection;
    this.#keys = keys;
  }

  async get(key: RecordKey): Promise<DirectoryRecord | undefined> {
    const raw = (await this.#run(GET_RECORD, key.kind, [placeOf(key)])) as Buffer | null;
    return raw === null ? undefined : parseRecord(key, raw);
  }

  async put(key: RecordKey, value: object, options: PutOptions = {}): Promise<PutOutcome> {
    const { expectedVersion, maxInParent, timeToLiveMs = 0 } = options;
    const bounds = [expectedVersion ?? "", maxInParent ?? "", Math.max(timeToLiveMs, 0)];
    const args = [placeOf(key), key.parent, ...bounds, JSON.stringify(value)];
    for (;;) {
      const reply = (await this.#run(PUT_RECORD, key.kind, args)) as [Buffer, ...unknown[]];
      switch (reply[0].toString()) {
        case "stored":
          return { kind: "stored", version: reply[1] as number, expiresAtMs: reply[2] as number };
        case "conflict": {
          const raw = reply[1] as Buffer | null;
          return { kind: "conflict", current: raw === null ? undefined : parseRecord(key, raw) };
        }
        case "damaged":
          throw damagedRecord(key);
        case "full":
          return { kind: "full" };
      }
    }
  }

  async delete(key: RecordKey, expectedVersion?: number): Promise<boolean> {
    const removed = await this.#run(DELETE_RECORD, key.kind, [placeOf(key), expectedVersion ?? ""]);
    if (removed === 2) throw damagedRecord(key);
    return removed === 1;
  }

  async list({ kind, parent, after, limit }: ListRequest): Promise<readonly DirectoryRecord[]> {
    checkListLimit(limit);
    const records: DirectoryRecord[] = [];
    let lower = lowerBound(parent, after);
    const upper = parent === undefined ? "+" : `(${parent}\x01`;
    while (records.length < limit) {
      const reply = await this.#run(LIST_RECORDS, kind, [lower, upper, limit - records.length]);
      const [next, ...pairs] = reply as readonly [Buffer, ...Buffer[]];
      for (let i = 0; i + 1 < pairs.length; i += 2) records.push(parseRecord(keyOf(kind, pairs[i]!), pairs[i + 1]!));
      if (next.length === 0) break;
      lower = `(${next.toString()}`;
    }
    return records;
  }

  async count(kind: string, parent: string): Promise<number> {
    for (;;) {
      const [count, hasMore] = (await this.#run(COUNT_RECORDS, kind, [parent])) as [number, number];
      if (hasMore === 0) return count;
    }
  }

  /** Removes what has expired, of the kinds that this node has touched, a bounded part. */
  async sweep(): Promise<void> {
    for (const kind of this.#kinds) {
      for (let step = 0; step < SWEEP_STEPS; step++) {
        const [, hasMore] = (await this.#run(COUNT_RECORDS, kind, [""])) as [number, number];
        if (hasMore === 0) break;
      }
    }
  }

  #run(script: RedisScript, kind: string, args: readonly (string | number)[]): Promise<unknown> {
    if (this.#kinds.size < MAX_SWEPT_KINDS) this.#kinds.add(kind);
    return this.#connection.run(script, this.#keys.records(kind), [this.#connection.clock, ...args]);
  }
}

/** Behind `after`, or from the first of the parent on, whichever comes later. */
function lowerBound(parent: string | undefined, after: RecordPlace | undefined): string {
  const first = { parent: parent ?? "", id: "" };
  if (after !== undefined && compareRecordKeys(after, first) >= 0) return `(${placeOf(after)}`;
  return parent === undefined ? "-" : `[${placeOf(first)}`;
}
