import type { Directory, DirectoryRecord, ListRequest, PutOptions, PutOutcome, RecordKey } from "../directory.ts";
import { checkListLimit, compareRecordKeys, expiryOf, isLive, type RecordPlace } from "../record-order.ts";

/** Removed records whose last version is remembered. */
const MAX_REMEMBERED = 10_000;
/** Old records looked at for removal with each write: the work is spread. */
const SWEEP_STEP = 8;

interface Held {
  readonly key: RecordKey;
  readonly version: number;
  /** JSON, so that neither side can change the other's objects. */
  readonly json: string;
  readonly expiresAtMs: number;
}

export class MemoryDirectory implements Directory {
  readonly #now: () => number;
  /** By kind, then by place. */
  readonly #kinds = new Map<string, Map<string, Held>>();
  /** How many records, expired ones included, a kind's parent has. */
  readonly #counts = new Map<string, number>();
  /** A kind's keys in order, made when a list asks and dropped when a record comes or goes. */
  readonly #sorted = new Map<string, readonly RecordKey[]>();
  /** Last versions of removed records, oldest first. */
  readonly #removed = new Map<string, number>();
  #sweep: Iterator<Held> | undefined;

  constructor(now: () => number) {
    this.#now = now;
  }

  async get(key: RecordKey): Promise<DirectoryRecord | undefined> {
    return toRecord(this.#live(key));
  }

  async put(key: RecordKey, value: object, options: PutOptions = {}): Promise<PutOutcome> {
    const live = this.#live(key);
    const { expectedVersion, maxInParent } = options;
    if (expectedVersion !== undefined && expectedVersion !== (live?.version ?? 0)) {
      return { kind: "conflict", current: toRecord(live) };
    }
    if (
      live === undefined &&
      maxInParent !== undefined &&
      this.#liveCount(key.kind, key.parent, maxInParent) >= maxInParent
    ) {
      return { kind: "full" };
    }
    const held = this.#kinds.get(key.kind)?.get(place(key));
    const version = (held?.version ?? this.#removed.get(identity(key)) ?? 0) + 1;
    const expiresAtMs = expiryOf(options, this.#now());
    this.#store({ key, version, json: JSON.stringify(value), expiresAtMs });
    this.#sweepSome();
    return { kind: "stored", version, expiresAtMs };
  }

  async delete(key: RecordKey, expectedVersion?: number): Promise<boolean> {
    const live = this.#live(key);
    if (live === undefined || (expectedVersion !== undefined && expectedVersion !== live.version)) return false;
    this.#remove(live);
    return true;
  }

  async list(request: ListRequest): Promise<readonly DirectoryRecord[]> {
    checkListLimit(request.limit);
    const keys = this.#keysInOrder(request.kind);
    const records: DirectoryRecord[] = [];
    for (let i = startOf(keys, request); i < keys.length && records.length < request.limit; i++) {
      const key = keys[i]!;
      if (request.parent !== undefined && key.parent !== request.parent) break;
      const record = toRecord(this.#live(key));
      if (record !== undefined) records.push(record);
    }
    return records;
  }

  async count(kind: string, parent: string): Promise<number> {
    return this.#liveCount(kind, parent, 0);
  }

  #live(key: RecordKey): Held | undefined {
    const held = this.#kinds.get(key.kind)?.get(place(key));
    return held !== undefined && isLive(held.expiresAtMs, this.#now()) ? held : undefined;
  }

  #store(held: Held): void {
    const { key } = held;
    let records = this.#kinds.get(key.kind);
    if (records === undefined) {
      records = new Map();
      this.#kinds.set(key.kind, records);
    }
    if (!records.has(place(key))) {
      this.#sorted.delete(key.kind);
      this.#countUp(key, 1);
      this.#removed.delete(identity(key));
    }
    records.set(place(key), held);
  }

  #remove({ key, version }: Held): void {
    this.#kinds.get(key.kind)!.delete(place(key));
    this.#sorted.delete(key.kind);
    this.#countUp(key, -1);
    this.#removed.set(identity(key), version);
    if (this.#removed.size > MAX_REMEMBERED) {
      for (const oldest of this.#removed.keys()) {
        this.#removed.delete(oldest);
        break;
      }
    }
  }

  #countUp(key: RecordKey, by: number): void {
    const parent = parentOf(key.kind, key.parent);
    const count = (this.#counts.get(parent) ?? 0) + by;
    if (count === 0) this.#counts.delete(parent);
    else this.#counts.set(parent, count);
  }

  /** Exact when it matters: expired records are looked for only when the count with them reaches `enough`. */
  #liveCount(kind: string, parent: string, enough: number): number {
    const count = this.#counts.get(parentOf(kind, parent)) ?? 0;
    if (count < enough || count === 0) return count;
    let live = 0;
    const now = this.#now();
    const keys = this.#keysInOrder(kind);
    const records = this.#kinds.get(kind)!;
    for (let i = startOf(keys, { parent }); keys[i]?.parent === parent; i++) {
      if (isLive(records.get(place(keys[i]!))!.expiresAtMs, now)) live++;
    }
    return live;
  }

  #keysInOrder(kind: string): readonly RecordKey[] {
    let keys = this.#sorted.get(kind);
    if (keys === undefined) {
      keys = [...(this.#kinds.get(kind)?.values() ?? [])].map((held) => held.key).sort(compareRecordKeys);
      this.#sorted.set(kind, keys);
    }
    return keys;
  }

  #sweepSome(): void {
    const now = this.#now();
    for (let i = 0; i < SWEEP_STEP; i++) {
      this.#sweep ??= this.#everything();
      const next = this.#sweep.next();
      if (next.done === true) {
        this.#sweep = undefined;
        return;
      }
      if (!isLive(next.value.expiresAtMs, now)) this.#remove(next.value);
    }
  }

  *#everything(): Generator<Held> {
    for (const records of this.#kinds.values()) yield* records.values();
  }
}

function toRecord(held: Held | undefined): DirectoryRecord | undefined {
  if (held === undefined) return undefined;
  return { key: held.key, version: held.version, value: JSON.parse(held.json), expiresAtMs: held.expiresAtMs };
}

/** Index of the first key of the parent, or behind `after`. */
function startOf(keys: readonly RecordKey[], request: { parent?: string; after?: RecordPlace }): number {
  const { after, parent } = request;
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const key = keys[middle]!;
    const before =
      (parent !== undefined && key.parent < parent) || (after !== undefined && compareRecordKeys(key, after) <= 0);
    if (before) low = middle + 1;
    else high = middle;
  }
  return low;
}

// Names and ids have no NUL, so the parts cannot run into each other.
const place = (key: RecordKey): string => `${key.parent}\0${key.id}`;
const parentOf = (kind: string, parent: string): string => `${kind}\0${parent}`;
const identity = (key: RecordKey): string => `${key.kind}\0${key.parent}\0${key.id}`;
