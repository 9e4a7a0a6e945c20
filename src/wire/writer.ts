// Writes protobuf's wire format into memory that the caller has measured.

export function varintSize(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  if (value < 0x200000) return 3;
  if (value < 0x10000000) return 4;
  let size = 5;
  for (let rest = Math.floor(value / 0x800000000); rest > 0; rest = Math.floor(rest / 128)) size++;
  return size;
}

/** Writes an unsigned number up to 2^53. Answers where it ends. */
export function writeVarint(target: Uint8Array, at: number, value: number): number {
  let rest = value;
  while (rest > 0x7fffffff) {
    target[at++] = (rest % 128) | 0x80;
    rest = Math.floor(rest / 128);
  }
  while (rest > 0x7f) {
    target[at++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  target[at++] = rest;
  return at;
}

/** Number and wire type of a field as they stand on the wire. */
export function tagOf(field: number, type: number): number {
  return field * 8 + type;
}

/** A string or bytes field that is not empty, complete. */
export function stringField(field: number, value: string): Buffer {
  const length = Buffer.byteLength(value);
  const tag = tagOf(field, 2);
  const bytes = Buffer.allocUnsafe(varintSize(tag) + varintSize(length) + length);
  const at = writeVarint(bytes, writeVarint(bytes, 0, tag), length);
  bytes.write(value, at, "utf8");
  return bytes;
}

/** A message field, complete. */
export function messageField(field: number, parts: readonly Uint8Array[]): Buffer {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const tag = tagOf(field, 2);
  const bytes = Buffer.allocUnsafe(varintSize(tag) + varintSize(length) + length);
  let at = writeVarint(bytes, writeVarint(bytes, 0, tag), length);
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** A varint field, complete. Negative numbers are not needed here. */
export function varintField(field: number, value: number): Buffer {
  const tag = tagOf(field, 0);
  const bytes = Buffer.allocUnsafe(varintSize(tag) + varintSize(value));
  writeVarint(bytes, writeVarint(bytes, 0, tag), value);
  return bytes;
}

/** A Timestamp or Duration field of non-negative milliseconds, complete. */
export function millisField(field: number, ms: number): Buffer {
  const seconds = Math.floor(ms / 1_000);
  const nanos = Math.floor(ms % 1_000) * 1_000_000;
  const parts: Buffer[] = [];
  if (seconds > 0) parts.push(varintField(1, seconds));
  if (nanos > 0) parts.push(varintField(2, nanos));
  return messageField(field, parts);
}
