import type { Audience } from "../../core/message.ts";
import type { AppendRecord } from "../message-log.ts";
import {
  AUDIENCE_SEPARATOR,
  ENTRIES_HEADER_BYTES,
  ENTRY_COLUMN_BYTES,
  hashId,
  MAX_BLOCK_BYTES,
  MAX_BLOCK_ENTRIES,
  TEXT_LATIN1,
  TEXT_UTF16,
} from "./block-format.ts";

/** Where the parts of a block lie in the memory it was written to. */
export interface BlockParts {
  readonly idHashesAt: number;
  readonly idHashesBytes: number;
  readonly entriesAt: number;
  readonly entriesBytes: number;
  readonly bodiesAt: number;
  readonly bodiesBytes: number;
}

const BEYOND_LATIN1 = /[^\0-\xff]/;

/** Gathers entries and writes them as one block. Used again for each block: its columns are allocated once. */
export class BlockEncoder {
  #count = 0;
  #bodyBytes = 0;
  #text = "";
  #strings = 0;
  readonly #hashes = new Uint32Array(MAX_BLOCK_ENTRIES);
  readonly #acceptedAt = new Float64Array(MAX_BLOCK_ENTRIES);
  readonly #expiresAt = new Float64Array(MAX_BLOCK_ENTRIES);
  readonly #digests = new Float64Array(MAX_BLOCK_ENTRIES);
  readonly #bodyEnds = new Uint32Array(MAX_BLOCK_ENTRIES);
  readonly #ids = new Uint32Array(MAX_BLOCK_ENTRIES);
  readonly #senders = new Uint32Array(MAX_BLOCK_ENTRIES);
  readonly #keys = new Uint32Array(MAX_BLOCK_ENTRIES);
  readonly #audiences = new Uint32Array(MAX_BLOCK_ENTRIES);
  /** At most four strings an entry. */
  readonly #stringEnds = new Uint32Array(MAX_BLOCK_ENTRIES * 4);
  readonly #bodies: Uint8Array[] = [];
  #sender = "";
  #senderNumber = 0;
  #audience: Audience = null;
  #audienceNumber = 0;

  get count(): number {
    return this.#count;
  }

  get bodyBytes(): number {
    return this.#bodyBytes;
  }

  /** Whether so large a body still belongs into this block. A block takes at least one. */
  fits(bodyBytes: number): boolean {
    return this.#count === 0 || (this.#count < MAX_BLOCK_ENTRIES && this.#bodyBytes + bodyBytes <= MAX_BLOCK_BYTES);
  }

  add(record: AppendRecord, acceptedAtMs: number): void {
    const i = this.#count++;
    const { id, sender, idempotencyKey, audience, timeToLiveMs, body } = record;
    this.#hashes[i] = hashId(id);
    this.#acceptedAt[i] = acceptedAtMs;
    this.#expiresAt[i] = timeToLiveMs > 0 ? acceptedAtMs + timeToLiveMs : 0;
    this.#digests[i] = record.contentDigest;
    this.#bodyBytes += body.byteLength;
    this.#bodyEnds[i] = this.#bodyBytes;
    this.#bodies.push(body);
    const idNumber = this.#string(id);
    this.#ids[i] = idNumber;
    this.#keys[i] = idempotencyKey === id ? idNumber : this.#string(idempotencyKey);
    if (sender !== this.#sender) {
      this.#sender = sender;
      this.#senderNumber = this.#string(sender);
    }
    this.#senders[i] = this.#senderNumber;
    if (audience !== this.#audience) {
      this.#audience = audience;
      this.#audienceNumber = audience === null ? 0 : this.#nonNull(audience.join(AUDIENCE_SEPARATOR));
    }
    this.#audiences[i] = this.#audienceNumber;
  }

  /** Upper bound of what write() needs, for memory that is given. */
  get maxByteLength(): number {
    const columns = this.#count * (4 + ENTRY_COLUMN_BYTES) + this.#strings * 4;
    return ENTRIES_HEADER_BYTES + columns + this.#text.length * 2 + this.#bodyBytes + 16;
  }

  /** Writes the block at `at`, a multiple of 8, and starts the next one. */
  write(target: Buffer, at: number): BlockParts {
    const count = this.#count;
    const { buffer } = target;
    const base = target.byteOffset;
    const encoding = BEYOND_LATIN1.test(this.#text) ? TEXT_UTF16 : TEXT_LATIN1;

    const idHashesBytes = count * 4;
    new Uint32Array(buffer, base + at, count).set(this.#hashes.subarray(0, count));

    const entriesAt = align8(at + idHashesBytes);
    new Uint32Array(buffer, base + entriesAt, 4).set([count, this.#strings, encoding, 0]);
    const floats = new Float64Array(buffer, base + entriesAt + ENTRIES_HEADER_BYTES, count * 3);
    floats.set(this.#acceptedAt.subarray(0, count));
    floats.set(this.#expiresAt.subarray(0, count), count);
    floats.set(this.#digests.subarray(0, count), count * 2);
    const integersAt = entriesAt + ENTRIES_HEADER_BYTES + count * 24;
    const integers = new Uint32Array(buffer, base + integersAt, count * 5 + this.#strings);
    integers.set(this.#bodyEnds.subarray(0, count));
    integers.set(this.#ids.subarray(0, count), count);
    integers.set(this.#senders.subarray(0, count), count * 2);
    integers.set(this.#keys.subarray(0, count), count * 3);
    integers.set(this.#audiences.subarray(0, count), count * 4);
    integers.set(this.#stringEnds.subarray(0, this.#strings), count * 5);
    const textAt = integersAt + integers.byteLength;
    const textBytes = target.write(this.#text, textAt, encoding === TEXT_LATIN1 ? "latin1" : "utf16le");

    const bodiesAt = textAt + textBytes;
    let end = bodiesAt;
    for (let i = 0; i < count; i++) {
      const body = this.#bodies[i]!;
      target.set(body, end);
      end += body.byteLength;
    }
    this.#reset();
    return {
      idHashesAt: at,
      idHashesBytes,
      entriesAt,
      entriesBytes: bodiesAt - entriesAt,
      bodiesAt,
      bodiesBytes: end - bodiesAt,
    };
  }

  #string(text: string): number {
    return text === "" ? 0 : this.#nonNull(text);
  }

  #nonNull(text: string): number {
    this.#text += text;
    this.#stringEnds[this.#strings] = this.#text.length;
    return ++this.#strings;
  }

  #reset(): void {
    this.#count = 0;
    this.#bodyBytes = 0;
    this.#text = "";
    this.#strings = 0;
    this.#bodies.length = 0;
    this.#sender = "";
    this.#senderNumber = 0;
    this.#audience = null;
    this.#audienceNumber = 0;
  }
}

/** The next multiple of 8. */
export function align8(at: number): number {
  return (at + 7) & ~7;
}
