import type { LogExtent } from "../../core/epoch-chain.ts";
import type { LogEntry } from "../../core/message.ts";
import type { MessageCodec } from "../../core/message-codec.ts";
import { formatPosition } from "../../core/position.ts";

/** Entries from one sequence up to another, as one finished frame that every reader who may see all of it gets. */
export interface TailRange {
  readonly frame: Uint8Array;
  readonly count: number;
  /** Sequence of its last entry, and that entry's epoch. */
  readonly end: number;
  readonly epoch: number;
  /** No entry has an audience. */
  readonly open: boolean;
  readonly senders: ReadonlySet<string>;
  /** When its first entry expires; 0: none ever does. */
  readonly expiresAtMs: number;
}

export interface TailListener {
  /** The tail has grown, or nothing will come any more. */
  wake(): void;
  /** The log lost its end: what came behind `agreed` is void, and its numbers are issued anew. `wake` follows. */
  rewound?(agreed: number, log: LogExtent): void;
}

/** So many different ranges are kept finished at the same time; readers that stand apart get their own. */
const MAX_SHARED_RANGES = 8;

/**
 * The newest entries of one channel, ready to send. A subscription is a position in it, never a queue of its own: who
 * falls out of the tail reads the store.
 */
export class ChannelTail {
  readonly key: string;
  readonly listeners = new Set<TailListener>();
  /** Sequence of the newest entry known to be stored. */
  head = 0;
  /** Bytes of the entries held. */
  bytes = 0;
  /** The channel was deleted: nothing comes any more. */
  gone = false;
  /** Whether anything came since somebody asked last. */
  active = false;
  /** How often the log lost its end: what was asked of it before may be void. */
  rewinds = 0;
  readonly #codec: MessageCodec;
  readonly #maxFrameBytes: number;
  #entries: LogEntry[] = [];
  #sealed: Uint8Array[] = [];
  /** Entries before this index are removed. */
  #offset = 0;
  /** Sequence of the entry at #offset; head + 1 when none is held. */
  #first = 1;
  readonly #ranges = new Map<number, TailRange>();

  constructor(key: string, codec: MessageCodec, maxFrameBytes: number) {
    this.key = key;
    this.#codec = codec;
    this.#maxFrameBytes = maxFrameBytes;
  }

  /** The store is known to have reached this sequence; entries up to it are not held. */
  startAt(head: number): void {
    if (head <= this.head) return;
    this.clear();
    this.head = head;
    this.#first = head + 1;
  }

  /** The log is this one now: it has what it had up to `agreed`, and other messages behind it. */
  rewind(agreed: number, log: LogExtent): void {
    this.head = log.head;
    this.clear();
    this.rewinds++;
    for (const listener of [...this.listeners]) listener.rewound?.(agreed, log);
  }

  /** Adds entries that follow the head. */
  push(entries: readonly LogEntry[]): void {
    const sealed = this.#codec.seal(entries);
    for (let i = 0; i < entries.length; i++) {
      this.#entries.push(entries[i]!);
      this.#sealed.push(sealed[i]!);
      this.bytes += sealed[i]!.length;
    }
    this.head = entries[entries.length - 1]!.sequence;
    this.active = true;
    this.#ranges.clear();
  }

  /** Whether what comes after this sequence is held. */
  covers(after: number): boolean {
    return after + 1 >= this.#first;
  }

  /** Removes the oldest entries until at most so many bytes are held. */
  trim(maxBytes: number): void {
    while (this.bytes > maxBytes && this.#offset < this.#entries.length) {
      this.bytes -= this.#sealed[this.#offset]!.length;
      this.#offset++;
      this.#first++;
    }
    // In bulk, since moving an array costs as much as it is long; never more are kept for it than are in use.
    if (this.#offset * 2 >= this.#entries.length) this.#compact();
  }

  /** Lets go of all entries; readers that are behind read the store. */
  clear(): void {
    this.#entries = [];
    this.#sealed = [];
    this.#offset = 0;
    this.#first = this.head + 1;
    this.bytes = 0;
    this.#ranges.clear();
  }

  /** What comes after a sequence that the tail covers and that is below the head, as far as it fits one frame. */
  range(after: number): TailRange {
    const known = this.#ranges.get(after);
    if (known !== undefined) return known;
    const range = this.#makeRange(after);
    if (this.#ranges.size < MAX_SHARED_RANGES) this.#ranges.set(after, range);
    return range;
  }

  /** The entry of a sequence, when it is held. */
  entry(sequence: number): LogEntry | undefined {
    return this.#entries[this.#offset + sequence - this.#first];
  }

  sealed(sequence: number): Uint8Array {
    return this.#sealed[this.#offset + sequence - this.#first]!;
  }

  #makeRange(after: number): TailRange {
    const start = this.#offset + after + 1 - this.#first;
    let end = start;
    let bytes = 0;
    let open = true;
    let expiresAtMs = 0;
    const senders = new Set<string>();
    while (end < this.#entries.length) {
      bytes += this.#sealed[end]!.length;
      if (bytes > this.#maxFrameBytes && end > start) break;
      const entry = this.#entries[end]!;
      if (entry.audience !== null) open = false;
      if (entry.expiresAtMs !== 0 && (expiresAtMs === 0 || entry.expiresAtMs < expiresAtMs)) {
        expiresAtMs = entry.expiresAtMs;
      }
      senders.add(entry.sender);
      end++;
    }
    const last = this.#entries[end - 1]!;
    const frame = this.#codec.frame({
      sealed: this.#sealed.slice(start, end),
      positions: [formatPosition(this.key, last.epoch, last.sequence)],
    });
    return { frame, count: end - start, end: last.sequence, epoch: last.epoch, open, senders, expiresAtMs };
  }

  #compact(): void {
    this.#entries = this.#entries.slice(this.#offset);
    this.#sealed = this.#sealed.slice(this.#offset);
    this.#offset = 0;
  }
}
