import type { LogEntry } from "../../src/core/message.ts";
import type { RetentionConfig } from "../../src/core/room.ts";
import { newestEpoch, withNewEpoch } from "../../src/storage/epoch-links.ts";
import type {
  AppendBatch,
  AppendedEntry,
  AppendOutcome,
  LogState,
  ReadRequest,
  ReadResult,
} from "../../src/storage/message-log.ts";
import { retainedFrom } from "../../src/storage/retention.ts";

/** What one log keeps, entries apart: replaced as a whole by each change, so that taking a change back is easy. */
interface Head {
  readonly version: number;
  readonly fencedAt: number;
  readonly links: LogState["links"];
  /** The life of the backend that issued the newest sequence. */
  readonly life: number;
  readonly floor: number;
  readonly lastAcceptedAtMs: number;
}

export interface StoredEntry extends LogEntry {
  /** The configuration version by which it was routed, as its batch said. */
  readonly version: number;
}

interface DedupKey {
  readonly entry: AppendedEntry;
  readonly digest: number;
}

export interface LostRange {
  readonly epoch: number;
  readonly first: number;
  readonly last: number;
  readonly epochs: readonly number[];
  /** Names of the messages that were there. */
  readonly ids: readonly string[];
}

/** Where a log's world comes from. */
export interface LogWorld {
  now(): number;
  epoch(): number;
  /** Which life of the backend this is. */
  life(): number;
  /** How a change is taken back, when the backend loses its end. */
  onChange(undo: () => void): void;
  /** Issued sequences `first` to `last` of an epoch are no more; `epochs` are all that the log had so far. */
  onLost(lost: LostRange): void;
}

/** One log by the simplest model that keeps the port's promises: all entries ever stored, in an array. */
export class VirtualLog {
  readonly incarnation: string;
  readonly #world: LogWorld;
  readonly #entries: StoredEntry[] = [];
  readonly #keys = new Map<string, DedupKey>();
  /** All that it ever had, also those that were lost with the end of the log. */
  readonly #epochs = new Set<number>();
  #head: Head;

  constructor(incarnation: string, version: number, world: LogWorld) {
    this.incarnation = incarnation;
    this.#world = world;
    const links = withNewEpoch([], 1, () => this.#newEpoch());
    this.#head = { version, fencedAt: 0, links, life: world.life(), floor: 1, lastAcceptedAtMs: 0 };
  }

  get entries(): readonly StoredEntry[] {
    return this.#entries;
  }

  get head(): number {
    return this.#entries.length;
  }

  get epoch(): number {
    return newestEpoch(this.#head.links);
  }

  get state(): LogState {
    const { version, floor, links } = this.#head;
    let sizeBytes = 0;
    for (let i = floor - 1; i < this.#entries.length; i++) sizeBytes += this.#entries[i]!.body.length;
    return { incarnation: this.incarnation, version, head: this.head, floor, links, sizeBytes };
  }

  append(batch: AppendBatch): AppendOutcome {
    if (batch.version < this.#head.version) return { kind: "stale", version: this.#head.version };
    const { links } = this.#lifeChecked();
    const epoch = newestEpoch(links);
    const acceptedAtMs = Math.max(this.#world.now(), this.#head.lastAcceptedAtMs);
    const appended: AppendedEntry[] = [];
    const stored: StoredEntry[] = [];
    const keys = new Map<string, DedupKey>();
    for (const [index, record] of batch.records.entries()) {
      const { id, sender, audience, timeToLiveMs, body, contentDigest: digest } = record;
      const key = `${sender}\n${record.idempotencyKey}`;
      const known = record.idempotencyKey === "" ? undefined : (keys.get(key) ?? this.#keys.get(key));
      if (known !== undefined && acceptedAtMs - known.entry.acceptedAtMs < batch.dedupWindowMs) {
        if (known.digest !== digest) return { kind: "conflict", index };
        appended.push({ ...known.entry, duplicate: true });
        continue;
      }
      const entry = { sequence: this.head + stored.length + 1, epoch, acceptedAtMs, duplicate: false };
      const expiresAtMs = timeToLiveMs > 0 ? acceptedAtMs + timeToLiveMs : 0;
      const { version } = batch;
      stored.push({ sequence: entry.sequence, epoch, acceptedAtMs, expiresAtMs, id, sender, audience, body, version });
      if (record.idempotencyKey !== "") keys.set(key, { entry, digest });
      appended.push(entry);
    }
    const fencedAt = batch.version > this.#head.version ? this.head : this.#head.fencedAt;
    this.#replace({
      links,
      life: this.#world.life(),
      lastAcceptedAtMs: acceptedAtMs,
      version: batch.version,
      fencedAt,
    });
    this.#store(stored, keys);
    return { kind: "appended", entries: appended };
  }

  read({ from, backward, maxEntries, maxBytes }: Omit<ReadRequest, "name">): ReadResult {
    const entries: LogEntry[] = [];
    const { floor } = this.#head;
    const step = backward ? -1 : 1;
    let bytes = 0;
    let sequence = backward ? Math.min(from - 1, this.head) : Math.max(from + 1, floor);
    for (; sequence >= floor && sequence <= this.head; sequence += step) {
      const entry = this.#entries[sequence - 1]!;
      bytes += entry.body.length;
      if (entries.length > 0 && (entries.length >= maxEntries || bytes > maxBytes)) break;
      entries.push(entry);
    }
    return { entries, state: this.state, damaged: [] };
  }

  findId(id: string, after: number): readonly number[] {
    const from = Math.max(this.#head.floor, after + 1);
    const found = this.#entries.find((entry) => entry.sequence >= from && entry.id === id);
    return found === undefined ? [] : [found.sequence];
  }

  findTime(timeMs: number): number {
    const found = this.#entries.find((entry) => entry.sequence >= this.#head.floor && entry.acceptedAtMs >= timeMs);
    return found?.sequence ?? this.head + 1;
  }

  fence(version: number): number {
    if (version > this.#head.version) this.#replace({ version, fencedAt: this.head });
    return this.#head.fencedAt;
  }

  renewEpoch(): LogState {
    this.#replace({ links: withNewEpoch(this.#head.links, this.head + 1, () => this.#newEpoch()) });
    return this.state;
  }

  trim(retention: RetentionConfig): LogState {
    const { byAge, byCount, maxBytes } = retainedFrom(retention, this.head, this.#world.now());
    let { floor } = this.#head;
    let { sizeBytes } = this.state;
    for (let entry = this.#entries[floor - 1]; entry !== undefined; entry = this.#entries[floor - 1]) {
      const isNewest = floor === this.head;
      if (entry.acceptedAtMs >= byAge && (isNewest || (floor >= byCount && sizeBytes <= maxBytes))) break;
      sizeBytes -= entry.body.length;
      floor++;
    }
    if (floor !== this.#head.floor) this.#replace({ floor });
    return this.state;
  }

  /** The log is thrown away: all of it, and every epoch that it had. */
  drop(): void {
    this.#tellLost(0);
    const epochs = [...this.#epochs];
    for (const epoch of epochs) this.#world.onLost({ epoch, first: 1, last: 0, epochs, ids: [] });
  }

  /** The backend may have lost its end since the last append: what follows is of a new epoch. */
  #lifeChecked(): Pick<Head, "links"> {
    const { links, life } = this.#head;
    if (life === this.#world.life()) return { links };
    return { links: withNewEpoch(links, this.head + 1, () => this.#newEpoch()) };
  }

  #newEpoch(): number {
    const epoch = this.#world.epoch();
    this.#epochs.add(epoch);
    return epoch;
  }

  #replace(change: Partial<Head>): void {
    const before = this.#head;
    this.#head = { ...before, ...change };
    this.#world.onChange(() => {
      this.#head = before;
    });
  }

  #store(stored: readonly StoredEntry[], keys: ReadonlyMap<string, DedupKey>): void {
    if (stored.length === 0) return;
    const head = this.head;
    const before = new Map([...keys.keys()].map((key) => [key, this.#keys.get(key)]));
    this.#entries.push(...stored.map((entry) => ({ ...entry, body: Buffer.from(entry.body) })));
    for (const [key, known] of keys) this.#keys.set(key, known);
    this.#world.onChange(() => {
      this.#tellLost(head);
      this.#entries.length = head;
      for (const [key, known] of before) {
        if (known === undefined) this.#keys.delete(key);
        else this.#keys.set(key, known);
      }
    });
  }

  /** What lies behind `head` is gone. */
  #tellLost(head: number): void {
    for (let at = head; at < this.#entries.length; ) {
      const { epoch, sequence: first } = this.#entries[at]!;
      while (this.#entries[at]?.epoch === epoch) at++;
      const ids = this.#entries.slice(first - 1, at).map(({ id }) => id);
      this.#world.onLost({ epoch, first, last: at, epochs: [...this.#epochs], ids });
    }
  }
}
