import type { EpochLink } from "../../core/epoch-chain.ts";
import type { LogEntry } from "../../core/message.ts";
import { newestEpoch } from "../epoch-links.ts";
import type { AppendRecord, LogState } from "../message-log.ts";
import { Refusal } from "../refusal.ts";
import { BodySlab } from "./body-slab.ts";
import { EntryColumns } from "./entry-columns.ts";

/** What an entry costs beside its body: its id and its place in the ring. Rounded up. */
export const ENTRY_OVERHEAD_BYTES = 160;

const FIRST_SLOTS = 16;

export interface LogRingOptions {
  readonly incarnation: string;
  /** The log's number in the deduplication window. */
  readonly scope: number;
  readonly version: number;
  readonly links: readonly EpochLink[];
  /** How many entries it holds; a further one takes the oldest one's place. */
  readonly ringSize: number;
}

/** One log: its newest entries, in a ring that grows up to `ringSize`. */
export class LogRing {
  readonly incarnation: string;
  readonly scope: number;
  readonly refusal = new Refusal();
  version: number;
  /** The last sequence that was stored under an older version than `version`. */
  fencedAt = 0;
  links: readonly EpochLink[];
  head = 0;
  floor = 1;
  lastAcceptedAtMs = 0;
  #bodyBytes = 0;
  readonly #ringSize: number;
  readonly #slab = new BodySlab();
  #entries: EntryColumns;

  constructor(options: LogRingOptions) {
    this.incarnation = options.incarnation;
    this.scope = options.scope;
    this.version = options.version;
    this.links = options.links;
    this.#ringSize = options.ringSize;
    this.#entries = new EntryColumns(Math.min(FIRST_SLOTS, options.ringSize));
  }

  get size(): number {
    return this.head - this.floor + 1;
  }

  get bodyBytes(): number {
    return this.#bodyBytes;
  }

  /** Memory held, as far as `maxBytes` counts it. */
  get heldBytes(): number {
    return this.#bodyBytes + this.size * ENTRY_OVERHEAD_BYTES;
  }

  get state(): LogState {
    return {
      incarnation: this.incarnation,
      version: this.version,
      head: this.head,
      floor: this.floor,
      links: this.links,
      sizeBytes: this.#bodyBytes,
    };
  }

  /** The retained entry of this sequence. */
  at(sequence: number): LogEntry {
    return this.#entries.entry(sequence);
  }

  idAt(sequence: number): string {
    return this.#entries.id(sequence);
  }

  acceptedAtMsAt(sequence: number): number {
    return this.#entries.acceptedAtMs(sequence);
  }

  bodyBytesAt(sequence: number): number {
    return this.#entries.bodyBytes(sequence);
  }

  /** Appends; the oldest entries go where the ring is full. */
  push(records: readonly AppendRecord[], bodyBytes: number, acceptedAtMs: number): void {
    const epoch = newestEpoch(this.links);
    this.#slab.reserve(bodyBytes);
    for (let i = 0; i < records.length; i++) {
      const record = records[i]!;
      if (this.size === this.#entries.capacity) this.#makeRoom();
      this.#slab.copy(record.body);
      this.#entries.put(++this.head, epoch, acceptedAtMs, record, this.#slab.slab, this.#slab.offset);
      this.#bodyBytes += record.body.byteLength;
    }
    this.lastAcceptedAtMs = acceptedAtMs;
  }

  /** Issues a sequence for messages that were lost on their way here. */
  pushLost(acceptedAtMs: number): void {
    if (this.size === this.#entries.capacity) this.#makeRoom();
    this.#entries.putLost(++this.head, newestEpoch(this.links), acceptedAtMs);
    this.lastAcceptedAtMs = acceptedAtMs;
  }

  /** Whether a retained sequence was issued by pushLost. */
  isLost(sequence: number): boolean {
    return this.#entries.isLost(sequence);
  }

  dropOldest(): void {
    this.#bodyBytes -= this.#entries.bodyBytes(this.floor);
    this.#entries.clear(this.floor);
    this.floor++;
  }

  /** The first retained sequence accepted at or after this time; head + 1 when there is none. */
  findTime(timeMs: number): number {
    let low = this.floor;
    let high = this.head + 1;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      if (this.#entries.acceptedAtMs(middle) >= timeMs) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  #makeRoom(): void {
    const { capacity } = this.#entries;
    if (capacity === this.#ringSize) this.dropOldest();
    else this.#entries = this.#entries.resized(Math.min(capacity * 2, this.#ringSize), this.floor, this.head);
  }
}
