import type { Clock, Stop } from "../../core/clock.ts";
import { BusError } from "../../core/errors.ts";
import type { Logger } from "../../core/logger.ts";
import type { Directory, DirectoryRecord, ListRequest, PutOutcome, RecordKey } from "../../storage/directory.ts";
import type { Doorbell } from "../../storage/doorbell.ts";
import { mapBounded } from "../bounded.ts";
import { Lanes } from "../lanes.ts";
import { Listeners } from "../listeners.ts";
import { sameData } from "./same-data.ts";

const PAGE = 1_000;
/** How often a write is tried again when others change the same record at the same time. */
const MAX_ATTEMPTS = 10;
/** A lost ring is made good after this long; only where several nodes share the storage. */
const POLL_MS = 30_000;
const CONCURRENT_REFRESHES = 16;
/** A poll that failed is tried again after this long. */
const RETRY_MS = 1_000;

export interface DirectoryReplicaOptions {
  readonly directory: Directory;
  readonly doorbell: Doorbell;
  readonly clock: Clock;
  readonly log: Logger;
  /** Other nodes write to the same directory. */
  readonly shared: boolean;
  /** The kinds of records that are kept, in the order in which they are loaded. */
  readonly kinds: readonly string[];
}

export interface RecordChange {
  readonly key: RecordKey;
  readonly before: DirectoryRecord | undefined;
  readonly after: DirectoryRecord | undefined;
}

export type WriteOutcome =
  | { readonly kind: "stored"; readonly record: DirectoryRecord; readonly created: boolean }
  /** `change` answered undefined. */
  | { readonly kind: "unchanged"; readonly record: DirectoryRecord | undefined }
  | { readonly kind: "full" };

/**
 * All records of some kinds, in memory: looked up at once, written through, told of by listeners. Whatever is done to
 * one record on this node (writing, removing, reading again) is done one after another, so an old answer never
 * overwrites a newer one. A storage that is not shared has no writer but this node: there is nothing to listen for.
 */
export class DirectoryReplica {
  readonly #options: DirectoryReplicaOptions;
  /** By kind, parent and id. */
  readonly #records = new Map<string, Map<string, Map<string, DirectoryRecord>>>();
  readonly #lanes = new Lanes();
  readonly #changes: Listeners<RecordChange>;
  /** Records that were written without an answer: other nodes are told once it is known what they are now. */
  readonly #unrung = new Map<string, RecordKey>();
  /** Records that rang and are to be read again. */
  readonly #stale = new Map<string, RecordKey>();
  #refreshing = 0;
  readonly #stops: Stop[] = [];
  #polling: Promise<void> | undefined;
  #pollAgain = false;
  #failing = false;
  #stopRetry: Stop | undefined;
  #closed = false;

  private constructor(options: DirectoryReplicaOptions) {
    this.#options = options;
    this.#changes = new Listeners(options.log);
    for (const kind of options.kinds) this.#records.set(kind, new Map());
  }

  /** Reads everything. `listener` hears of each record from the first on, and must not throw. */
  static async load(
    options: DirectoryReplicaOptions,
    listener: (change: RecordChange) => void,
  ): Promise<DirectoryReplica> {
    const replica = new DirectoryReplica(options);
    replica.#changes.add(listener);
    try {
      await replica.#load();
    } catch (error) {
      replica.close();
      throw error;
    }
    return replica;
  }

  get(key: RecordKey): DirectoryRecord | undefined {
    return this.#records.get(key.kind)?.get(key.parent)?.get(key.id);
  }

  /**
   * Read, change, compare and write, again when somebody else was faster: `change` is then called with what they
   * wrote. It answers the new value, undefined to leave the record as it is, or throws. After 10 attempts
   * CONCURRENT_UPDATE. That nothing is to do is believed only of what the storage has now: this node may be behind.
   */
  write(
    key: RecordKey,
    change: (current: DirectoryRecord | undefined) => object | undefined,
    maxInParent?: number,
  ): Promise<WriteOutcome> {
    return this.#lanes.run(laneOf(key), async () => {
      let isFresh = !this.#options.shared;
      for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
        const current = this.get(key);
        const value = change(current);
        if (value === undefined) {
          if (isFresh) return { kind: "unchanged", record: current };
          await this.#read(key);
          isFresh = true;
          continue;
        }
        const outcome = await this.#put(key, value, current?.version ?? 0, maxInParent);
        if (outcome.kind === "full") return outcome;
        if (outcome.kind === "stored") {
          const { version, expiresAtMs } = outcome;
          const record = { key, version, value, expiresAtMs };
          this.#apply(key, record);
          this.#ring(key);
          return { kind: "stored", record, created: current === undefined };
        }
        this.#learn(key, outcome.current);
        isFresh = true;
      }
      throw new BusError("CONCURRENT_UPDATE", `${key.kind} ${nameOf(key)} was changed by others ${MAX_ATTEMPTS} times`);
    });
  }

  /**
   * Removes a record, when `expectedVersion` is given only at that version. Answers whether it was removed. It always names
   * a version: a delete that is done late, long after its caller gave up, must not take a record that was made since.
   */
  remove(key: RecordKey, expectedVersion?: number): Promise<boolean> {
    return this.#lanes.run(laneOf(key), async () => {
      for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
        const version = expectedVersion ?? (this.get(key) ?? (await this.#read(key)))?.version;
        if (version === undefined) return false;
        if (await this.#answered(key, () => this.#options.directory.delete(key, version))) {
          this.#apply(key, undefined);
          this.#ring(key);
          return true;
        }
        await this.#read(key);
        if (expectedVersion !== undefined) return false;
      }
      throw new BusError("CONCURRENT_UPDATE", `${key.kind} ${nameOf(key)} was changed by others ${MAX_ATTEMPTS} times`);
    });
  }

  /** Reads the record again from the storage. */
  refresh(key: RecordKey): Promise<DirectoryRecord | undefined> {
    return this.#lanes.run(laneOf(key), () => this.#read(key));
  }

  /**
   * Makes the records of a kind (of one parent, when given) what the storage has. Each that differs is read again in
   * its lane: the list itself may be overtaken by our writes.
   */
  async sync(kind: string, parent?: string): Promise<void> {
    const kept = this.#records.get(kind) ?? new Map<string, Map<string, DirectoryRecord>>();
    const missing = new Map<string, RecordKey>();
    for (const records of parent === undefined ? kept.values() : [kept.get(parent)]) {
      for (const { key } of records?.values() ?? []) missing.set(laneOf(key), key);
    }
    for await (const page of this.#pages(parent === undefined ? { kind } : { kind, parent })) {
      for (const { key } of page) missing.delete(laneOf(key));
      const differ = page.filter((record) => !isSame(this.get(record.key), record));
      await mapBounded(differ, ({ key }) => this.refresh(key));
    }
    await mapBounded([...missing.values()], (key) => this.refresh(key));
  }

  #put(key: RecordKey, value: object, expectedVersion: number, maxInParent?: number): Promise<PutOutcome> {
    return this.#answered(key, () =>
      this.#options.directory.put(key, value, {
        expectedVersion,
        ...(maxInParent !== undefined && { maxInParent }),
      }),
    );
  }

  /** When there is no answer, whether it was done is unknown: it is found out, and told to the other nodes. */
  async #answered<T>(key: RecordKey, write: () => Promise<T>): Promise<T> {
    try {
      return await write();
    } catch (error) {
      this.#unrung.set(laneOf(key), key);
      this.#refreshLater(key);
      throw error;
    }
  }

  async #read(key: RecordKey): Promise<DirectoryRecord | undefined> {
    const record = await this.#options.directory.get(key);
    this.#learn(key, record);
    return record;
  }

  close(): void {
    this.#closed = true;
    this.#stopRetry?.();
    for (const stop of this.#stops.splice(0)) stop();
  }

  async #load(): Promise<void> {
    const { doorbell, clock, kinds, shared } = this.#options;
    // What rings while the pages are read may be older in its page than in its ring: read those again at the end.
    const rung = new Map<string, RecordKey>();
    let loaded = false;
    let missed = false;
    if (shared) {
      const listen = doorbell.listen((ring) => {
        if (ring.topic === "missed") {
          missed = true;
          if (loaded) void this.#poll();
        }
        if (ring.topic !== "record" || !this.#records.has(ring.key.kind)) return;
        if (loaded) this.#refreshLater(ring.key);
        else rung.set(laneOf(ring.key), ring.key);
      });
      this.#stops.push(listen);
    }
    for (const kind of kinds) {
      for await (const page of this.#pages({ kind })) for (const record of page) this.#apply(record.key, record);
    }
    loaded = true;
    for (const key of rung.values()) await this.refresh(key);
    if (missed) await this.#poll();
    if (shared) this.#stops.push(clock.every(POLL_MS, () => void this.#poll()));
  }

  async *#pages(listed: Pick<ListRequest, "kind" | "parent">): AsyncGenerator<readonly DirectoryRecord[]> {
    let request: ListRequest = { ...listed, limit: PAGE };
    for (;;) {
      const page = await this.#options.directory.list(request);
      yield page;
      const last = page.at(-1);
      if (last === undefined || page.length < PAGE) return;
      request = { ...request, after: { parent: last.key.parent, id: last.key.id } };
    }
  }

  /** Looks for what no ring told of. One at a time; who asks meanwhile gets another look behind it. Never fails. */
  #poll(): Promise<void> {
    this.#pollAgain = true;
    this.#polling ??= this.#pollAll().finally(() => {
      this.#polling = undefined;
    });
    return this.#polling;
  }

  async #pollAll(): Promise<void> {
    try {
      while (this.#pollAgain && !this.#closed) {
        this.#pollAgain = false;
        for (const kind of this.#options.kinds) await this.sync(kind);
        await mapBounded([...this.#unrung.values()], (key) => this.refresh(key));
      }
      this.#failing = false;
    } catch (error) {
      this.#pollSoon(error);
    }
  }

  /** What rings many times before it is read is read once; a thousand rings do not ask a thousand things at once. */
  #refreshLater(key: RecordKey): void {
    this.#stale.set(laneOf(key), key);
    if (this.#refreshing < CONCURRENT_REFRESHES) void this.#refreshStale();
  }

  async #refreshStale(): Promise<void> {
    this.#refreshing++;
    for (const [lane, key] of this.#stale) {
      this.#stale.delete(lane);
      try {
        await this.refresh(key);
      } catch (error) {
        this.#pollSoon(error);
      }
    }
    this.#refreshing--;
  }

  /** Something could not be read: everything is looked at again, until that works. */
  #pollSoon(error: unknown): void {
    if (this.#closed) return;
    const { clock, log } = this.#options;
    if (!this.#failing) {
      log.warn({ err: error }, "the directory could not be read; this node may know old rooms and agents");
    }
    this.#failing = true;
    this.#stopRetry ??= clock.after(RETRY_MS, () => {
      this.#stopRetry = undefined;
      void this.#poll();
    });
  }

  /** What the storage has now, whoever wrote it. */
  #learn(key: RecordKey, record: DirectoryRecord | undefined): void {
    this.#apply(key, record);
    if (this.#unrung.delete(laneOf(key))) this.#ring(key);
  }

  #apply(key: RecordKey, after: DirectoryRecord | undefined): void {
    const kept = this.#records.get(key.kind);
    if (kept === undefined) throw new Error(`records of kind ${key.kind} are not kept`);
    const records = kept.get(key.parent) ?? new Map<string, DirectoryRecord>();
    const before = records.get(key.id);
    if (before === after) return;
    if (after !== undefined && isSame(before, after)) return;
    if (after === undefined) records.delete(key.id);
    else records.set(key.id, after);
    if (records.size === 0) kept.delete(key.parent);
    else kept.set(key.parent, records);
    this.#changes.tell({ key, before, after });
  }

  #ring(key: RecordKey): void {
    if (this.#options.shared) this.#options.doorbell.ring({ topic: "record", key });
  }
}

/** Under one version there may be two values: a storage that was set back gives the number of a lost change again. */
function isSame(known: DirectoryRecord | undefined, { version, value }: DirectoryRecord): boolean {
  return known?.version === version && sameData(known.value, value);
}

/** Neither parents nor ids contain a line break. */
function laneOf(key: RecordKey): string {
  return `${key.kind}\n${key.parent}\n${key.id}`;
}

function nameOf(key: RecordKey): string {
  return key.parent === "" ? key.id : `${key.parent}:${key.id}`;
}
