import { isUtf8 } from "node:buffer";
import { BusError } from "../core/errors.ts";

export const VARINT = 0;
export const FIXED64 = 1;
export const BYTES = 2;
export const FIXED32 = 5;

/** Where the length is short, a loop is quicker than a call into native code. */
const SHORT_BYTES = 48;

/**
 * Reads protobuf's wire format without making objects. Fields are taken one after another with `next`; `field`, `type`,
 * `start` and `end` then tell of the current one. Throws MALFORMED_REQUEST.
 */
export class WireReader {
  readonly buffer: Buffer;
  /** Of the current field: its number. */
  field = 0;
  /** Of the current field: its wire type. */
  type = 0;
  /** Of the current field: where its tag starts. */
  tagStart = 0;
  /** Of the current field: where its value starts (after the length, for BYTES) and ends. */
  start = 0;
  end = 0;
  #position: number;
  #limit: number;

  constructor(buffer: Buffer, start: number, limit: number) {
    this.buffer = buffer;
    this.#position = start;
    this.#limit = limit;
  }

  static of(bytes: Uint8Array): WireReader {
    const buffer = asBuffer(bytes);
    return new WireReader(buffer, 0, buffer.length);
  }

  /** Starts over within the given range of the same buffer. */
  reset(start: number, limit: number): this {
    this.#position = start;
    this.#limit = limit;
    return this;
  }

  /** Moves to the next field. False: there is none. */
  next(): boolean {
    if (this.#position >= this.#limit) return false;
    this.tagStart = this.#position;
    const tag = this.#varint32();
    this.field = tag >>> 3;
    this.type = tag & 7;
    if (this.field === 0) throw malformed("a field has the number 0");
    switch (this.type) {
      case VARINT:
        this.start = this.#position;
        this.#skipVarint();
        this.end = this.#position;
        return true;
      case BYTES: {
        const length = this.#varint32();
        this.start = this.#position;
        this.end = this.start + length;
        break;
      }
      case FIXED64:
        this.start = this.#position;
        this.end = this.start + 8;
        break;
      case FIXED32:
        this.start = this.#position;
        this.end = this.start + 4;
        break;
      default:
        throw malformed(`a field has the wire type ${this.type}`);
    }
    if (this.end > this.#limit) throw malformed("a field is longer than what it is in");
    this.#position = this.end;
    return true;
  }

  /** The current field must have this wire type. */
  expect(type: number, name: string): void {
    if (this.type !== type) throw malformed(`${name} has the wire type ${this.type}`);
  }

  get length(): number {
    return this.end - this.start;
  }

  /** The current varint as an int32: what does not fit is cut to 32 bits, as protobuf does. */
  int32(): number {
    let value = 0;
    for (let i = this.start, shift = 0; i < this.end && shift < 35; i++, shift += 7) {
      value |= (this.buffer[i]! & 0x7f) << shift;
    }
    return value;
  }

  /** The current varint as an int64, as a number; beyond 2^53 it loses its low digits. */
  int64(): number {
    if (this.end - this.start <= 7) {
      let value = 0;
      let factor = 1;
      for (let i = this.start; i < this.end; i++, factor *= 128) value += (this.buffer[i]! & 0x7f) * factor;
      return value;
    }
    let value = 0n;
    for (let i = this.start, shift = 0n; i < this.end; i++, shift += 7n)
      value |= BigInt(this.buffer[i]! & 0x7f) << shift;
    return Number(BigInt.asIntN(64, value));
  }

  /** The current field's bytes as text. Throws when they are not UTF-8. */
  string(name: string): string {
    this.checkUtf8(name);
    return this.buffer.toString("utf8", this.start, this.end);
  }

  /** The current field's bytes as text, when they are all printable ASCII without spaces; else undefined. */
  token(): string | undefined {
    for (let i = this.start; i < this.end; i++) {
      const byte = this.buffer[i]!;
      if (byte < 0x21 || byte > 0x7e) return undefined;
    }
    return this.buffer.toString("latin1", this.start, this.end);
  }

  checkUtf8(name: string): void {
    if (this.end - this.start <= SHORT_BYTES) {
      let i = this.start;
      while (i < this.end && this.buffer[i]! < 0x80) i++;
      if (i === this.end) return;
    }
    if (!isUtf8(this.buffer.subarray(this.start, this.end))) throw malformed(`${name} is not UTF-8`);
  }

  #varint32(): number {
    let value = 0;
    for (let shift = 0; shift < 32; shift += 7) {
      if (this.#position >= this.#limit) throw malformed("it ends within a field");
      const byte = this.buffer[this.#position++]!;
      if (shift === 28 && byte > 0x0f) throw malformed("a tag or length is too large");
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value >>> 0;
    }
    throw malformed("a tag or length is too large");
  }

  #skipVarint(): void {
    for (let i = 0; i < 10; i++) {
      if (this.#position >= this.#limit) throw malformed("it ends within a number");
      if (this.buffer[this.#position++]! < 0x80) return;
    }
    throw malformed("a number has more than 10 bytes");
  }
}

export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

export function malformed(what: string, cause?: unknown): BusError {
  return new BusError("MALFORMED_REQUEST", `the protobuf message is malformed: ${what}`, { cause });
}
