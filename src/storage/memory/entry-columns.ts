import type { Audience, LogEntry } from "../../core/message.ts";
import type { AppendRecord } from "../message-log.ts";

/**
 * Entries of a ring, a column for each field. An object and a view for each entry would be copied and marked by the
 * garbage collector for as long as the ring holds them, which cost a quarter of a publish; columns of numbers cost it
 * nothing. The entry is made when it is read.
 */
export class EntryColumns {
  readonly capacity: number;
  readonly #epochs: Uint32Array;
  readonly #acceptedAtMs: Float64Array;
  readonly #expiresAtMs: Float64Array;
  readonly #offsets: Uint32Array;
  readonly #lengths: Uint32Array;
  readonly #slabs: (Uint8Array | undefined)[];
  readonly #ids: string[];
  readonly #senders: string[];
  readonly #audiences: Audience[];

  constructor(capacity: number) {
    this.capacity = capacity;
    this.#epochs = new Uint32Array(capacity);
    this.#acceptedAtMs = new Float64Array(capacity);
    this.#expiresAtMs = new Float64Array(capacity);
    this.#offsets = new Uint32Array(capacity);
    this.#lengths = new Uint32Array(capacity);
    this.#slabs = new Array(capacity);
    this.#ids = new Array(capacity);
    this.#senders = new Array(capacity);
    this.#audiences = new Array(capacity);
  }

  /** The body is in `slab` from `offset` on. */
  put(sequence: number, epoch: number, acceptedAtMs: number, record: AppendRecord, slab: Uint8Array, offset: number) {
    const at = sequence % this.capacity;
    this.#epochs[at] = epoch;
    this.#acceptedAtMs[at] = acceptedAtMs;
    this.#expiresAtMs[at] = record.timeToLiveMs > 0 ? acceptedAtMs + record.timeToLiveMs : 0;
    this.#offsets[at] = offset;
    this.#lengths[at] = record.body.byteLength;
    this.#slabs[at] = slab;
    this.#ids[at] = record.id;
    this.#senders[at] = record.sender;
    this.#audiences[at] = record.audience;
  }

  /** A sequence that stands for no entry. */
  putLost(sequence: number, epoch: number, acceptedAtMs: number): void {
    const at = sequence % this.capacity;
    this.#epochs[at] = epoch;
    this.#acceptedAtMs[at] = acceptedAtMs;
    this.#lengths[at] = 0;
    this.clear(sequence);
  }

  isLost(sequence: number): boolean {
    return this.#slabs[sequence % this.capacity] === undefined;
  }

  entry(sequence: number): LogEntry {
    const at = sequence % this.capacity;
    const offset = this.#offsets[at]!;
    return {
      sequence,
      epoch: this.#epochs[at]!,
      acceptedAtMs: this.#acceptedAtMs[at]!,
      expiresAtMs: this.#expiresAtMs[at]!,
      id: this.#ids[at]!,
      sender: this.#senders[at]!,
      audience: this.#audiences[at]!,
      body: this.#slabs[at]!.subarray(offset, offset + this.#lengths[at]!),
    };
  }

  acceptedAtMs(sequence: number): number {
    return this.#acceptedAtMs[sequence % this.capacity]!;
  }

  id(sequence: number): string {
    return this.#ids[sequence % this.capacity]!;
  }

  bodyBytes(sequence: number): number {
    return this.#lengths[sequence % this.capacity]!;
  }

  /** Lets go of what the entry held. */
  clear(sequence: number): void {
    const at = sequence % this.capacity;
    this.#slabs[at] = undefined;
    this.#ids[at] = "";
    this.#senders[at] = "";
    this.#audiences[at] = null;
  }

  /** The same entries in columns of another capacity. */
  resized(capacity: number, floor: number, head: number): EntryColumns {
    const grown = new EntryColumns(capacity);
    for (let sequence = floor; sequence <= head; sequence++) {
      const from = sequence % this.capacity;
      const to = sequence % capacity;
      grown.#epochs[to] = this.#epochs[from]!;
      grown.#acceptedAtMs[to] = this.#acceptedAtMs[from]!;
      grown.#expiresAtMs[to] = this.#expiresAtMs[from]!;
      grown.#offsets[to] = this.#offsets[from]!;
      grown.#lengths[to] = this.#lengths[from]!;
      grown.#slabs[to] = this.#slabs[from];
      grown.#ids[to] = this.#ids[from]!;
      grown.#senders[to] = this.#senders[from]!;
      grown.#audiences[to] = this.#audiences[from]!;
    }
    return grown;
  }
}
