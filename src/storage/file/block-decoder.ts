import type { Audience, LogEntry } from "../../core/message.ts";
import { AUDIENCE_SEPARATOR, ENTRIES_HEADER_BYTES, TEXT_LATIN1 } from "./block-format.ts";

/** The entries of one block, read one by one. Its bytes have passed their checksum. */
export class BlockDecoder {
  readonly first: number;
  readonly count: number;
  readonly #epoch: number;
  readonly #floats: Float64Array;
  readonly #integers: Uint32Array;
  readonly #text: string;
  readonly #bodies: Uint8Array;
  #audienceNumber = 0;
  #audience: Audience = null;

  /** `bodies` may be empty for those who do not ask for bodies. */
  constructor(first: number, epoch: number, entries: Uint8Array, bodies: Uint8Array) {
    const bytes = aligned(entries);
    const [count, strings, encoding] = new Uint32Array(bytes.buffer, bytes.byteOffset, 4);
    this.first = first;
    this.count = count!;
    this.#epoch = epoch;
    this.#bodies = bodies;
    const floatsAt = bytes.byteOffset + ENTRIES_HEADER_BYTES;
    this.#floats = new Float64Array(bytes.buffer, floatsAt, count! * 3);
    this.#integers = new Uint32Array(bytes.buffer, floatsAt + count! * 24, count! * 5 + strings!);
    const textAt = ENTRIES_HEADER_BYTES + count! * 24 + this.#integers.byteLength;
    const text = Buffer.from(bytes.buffer, bytes.byteOffset + textAt, bytes.byteLength - textAt);
    this.#text = text.toString(encoding === TEXT_LATIN1 ? "latin1" : "utf16le");
  }

  entry(i: number): LogEntry {
    return {
      sequence: this.first + i,
      epoch: this.#epoch,
      acceptedAtMs: this.acceptedAtMs(i),
      expiresAtMs: this.#floats[this.count + i]!,
      id: this.id(i),
      sender: this.sender(i),
      audience: this.#audienceOf(i),
      body: this.#bodies.subarray(this.bodyEnd(i - 1), this.bodyEnd(i)),
    };
  }

  id(i: number): string {
    return this.#string(this.#integers[this.count + i]!);
  }

  sender(i: number): string {
    return this.#string(this.#integers[this.count * 2 + i]!);
  }

  idempotencyKey(i: number): string {
    return this.#string(this.#integers[this.count * 3 + i]!);
  }

  contentDigest(i: number): number {
    return this.#floats[this.count * 2 + i]!;
  }

  acceptedAtMs(i: number): number {
    return this.#floats[i]!;
  }

  /** Where the body ends; of entry -1: where the first one starts. */
  bodyEnd(i: number): number {
    return i < 0 ? 0 : this.#integers[i]!;
  }

  #audienceOf(i: number): Audience {
    const number = this.#integers[this.count * 4 + i]!;
    if (number !== this.#audienceNumber) {
      this.#audienceNumber = number;
      const text = this.#string(number);
      this.#audience = number === 0 ? null : text === "" ? [] : text.split(AUDIENCE_SEPARATOR);
    }
    return this.#audience;
  }

  #string(number: number): string {
    if (number === 0) return "";
    const ends = this.count * 5;
    return this.#text.slice(number === 1 ? 0 : this.#integers[ends + number - 2]!, this.#integers[ends + number - 1]!);
  }
}

/** Columns of 8 bytes are read in place where they lie on such a boundary, as SQLite's blobs do. */
function aligned(bytes: Uint8Array): Uint8Array {
  return bytes.byteOffset % 8 === 0 ? bytes : new Uint8Array(bytes);
}
