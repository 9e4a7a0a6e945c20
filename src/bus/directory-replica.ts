import type { Clock, Stop } from "../core/clock.ts";
import { BusError } from "../core/errors.ts";
import type { Logger } from "../core/logger.ts";
import type { Directory, DirectoryRecord, ListRequest, PutOutcome, RecordKey } from "../storage/directory.ts";
import type { Doorbell } from "../storage/doorbell.ts";
import { Lanes } from "./lanes.ts";
import { Listeners } from "./listeners.ts";
import { sameData } from "./same-data.ts";

const PAGE = 1_000;
/** How often a write is tried again when others change the same record at the same time. */
const MAX_ATTEMPTS = 10;
/** A lost ring is made good after this long; only where several nodes share the storage. */
const POLL_MS = 30_000;

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
  readonly #records = new Map<string, Map<string, DirectoryRecord>>();
  readonly #lanes = new Lanes();
  readonly #changes: Listeners<RecordChange>;
  readonly #stops: Stop[] = [];
  #polling = false;

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
    await replica.#load();
    return replica;
  }

  get(key: RecordKey): DirectoryRecord | undefined {
    return this.#records.get(key.kind)?.get(idOf(key));
  }

  /**
   * Read, change, compare and write, again when somebody else was faster: `change` is then called with what they
   * wrote. It answers the new value, undefined to leave the record as it is, or throws. After 10 attempts
   * CONCURRENT_UPDATE.
   */
  write(
    key: RecordKey,
    change: (current: DirectoryRecord | undefined) => object | undefined,
    maxInParent?: number,
  ): Promise<WriteOutcome> {
    return this.#lanes.run(laneOf(key), async () => {
      for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
        const current = this.get(key);
        const value = change(current);
        if (value === undefined) return { kind: "unchanged", record: current };
        const outcome = await this.#put(key, value, current?.version ?? 0, maxInParent);
        if (outcome.kind === "full") return outcome;
        if (outcome.kind === "stored") {
          const record = { key, version: outcome.version, value, expiresAtMs: 0 };
          this.#apply(key, record);
          this.#ring(key);
          return { kind: "stored", record, created: current === undefined };
        }
        this.#apply(key, outcome.current);
      }
      throw new BusError("CONCURRENT_UPDATE", `${key.kind} ${nameOf(key)} was changed by others ${MAX_ATTEMPTS} times`);
    });
  }

  /** Removes a record, when `expectedVersion` is given only at that version. Answers whether it was removed. */
  remove(key: RecordKey, expectedVersion?: number): Promise<boolean> {
    return this.#lanes.run(laneOf(key), async () => {
      const removed = await this.#options.directory.delete(key, expectedVersion);
      if (removed) {
        this.#apply(key, undefined);
        this.#ring(key);
      } else {
        this.#apply(key, await this.#options.directory.get(key));
      }
      return removed;
    });
  }

  /** Reads the record again from the storage. */
  refresh(key: RecordKey): Promise<DirectoryRecord | undefined> {
    return this.#lanes.run(laneOf(key), async () => {
      const record = await this.#options.directory.get(key);
      this.#apply(key, record);
      return record;
    });
  }

  async #put(key: RecordKey, value: object, expectedVersion: number, maxInParent?: number): Promise<PutOutcome> {
    try {
      return await this.#options.directory.put(key, value, {
        expectedVersion,
        ...(maxInParent !== undefined && { maxInParent }),
      });
    } catch (error) {
      this.#refreshLater(key); // whether it was stored is unknown
      throw error;
    }
  }

  close(): void {
    for (const stop of this.#stops.splice(0)) stop();
  }

  async #load(): Promise<void> {
    const { doorbell, clock, kinds, shared } = this.#options;
    // What rings while the pages are read may be older in its page than in its ring: read those again at the end.
    const rung = new Map<string, RecordKey>();
    let loaded = false;
    if (shared) {
      const listen = doorbell.listen((ring) => {
        if (ring.topic !== "record" || !this.#records.has(ring.key.kind)) return;
        if (loaded) this.#refreshLater(ring.key);
        else rung.set(laneOf(ring.key), ring.key);
      });
      this.#stops.push(listen);
    }
    for (const kind of kinds) {
      for await (const record of this.#listAll(kind)) this.#apply(record.key, record);
    }
    loaded = true;
    for (const key of rung.values()) await this.refresh(key);
    if (shared) this.#stops.push(clock.every(POLL_MS, () => void this.#poll()));
  }

  async *#listAll(kind: string): AsyncGenerator<DirectoryRecord> {
    let request: ListRequest = { kind, limit: PAGE };
    for (;;) {
      const page = await this.#options.directory.list(request);
      yield* page;
      const last = page.at(-1);
      if (last === undefined || page.length < PAGE) return;
      request = { ...request, after: { parent: last.key.parent, id: last.key.id } };
    }
  }

  /** Looks for what no ring told of, and reads it again in its lane: the list itself may be overtaken by our writes. */
  async #poll(): Promise<void> {
    if (this.#polling) return;
    this.#polling = true;
    try {
      for (const kind of this.#options.kinds) {
        const missing = new Map(this.#records.get(kind));
        for await (const record of this.#listAll(kind)) {
          missing.delete(idOf(record.key));
          if (this.get(record.key)?.version !== record.version) await this.refresh(record.key);
        }
        for (const { key } of missing.values()) await this.refresh(key);
      }
    } catch (error) {
      this.#options.log.warn(
        { err: error },
        "the directory could not be read; this node may know old rooms and agents",
      );
    } finally {
      this.#polling = false;
    }
  }

  #refreshLater(key: RecordKey): void {
    this.refresh(key).catch((error: unknown) => {
      this.#options.log.warn(
        { err: error, kind: key.kind },
        "a changed record could not be read; the next poll reads it",
      );
    });
  }

  #apply(key: RecordKey, after: DirectoryRecord | undefined): void {
    const records = this.#records.get(key.kind);
    if (records === undefined) throw new Error(`records of kind ${key.kind} are not kept`);
    const before = records.get(idOf(key));
    if (before === after) return;
    if (before !== undefined && before.version === after?.version && sameData(before.value, after.value)) return;
    if (after === undefined) records.delete(idOf(key));
    else records.set(idOf(key), after);
    this.#changes.tell({ key, before, after });
  }

  #ring(key: RecordKey): void {
    if (this.#options.shared) this.#options.doorbell.ring({ topic: "record", key });
  }
}

/** Neither parents nor ids contain a line break. */
function idOf(key: RecordKey): string {
  return `${key.parent}\n${key.id}`;
}

function laneOf(key: RecordKey): string {
  return `${key.kind}\n${idOf(key)}`;
}

function nameOf(key: RecordKey): string {
  return key.parent === "" ? key.id : `${key.parent}:${key.id}`;
}
