/** Types of array elements, by PostgreSQL's object ids. */
const INT8 = 20;
const TEXT = 25;
const BYTEA = 17;
const UUID = 2950;

const HEADER_BYTES = 20;
const NULL_LENGTH = -1;

/**
 * Arrays in PostgreSQL's binary format. The driver writes arrays as text, bytes in hexadecimal: that costs several times
 * as much on both sides. A Buffer is sent as it is, as a binary parameter.
 */
export function int8Array(values: readonly number[]): Buffer {
  const array = begin(INT8, values.length, values.length * 12);
  let at = HEADER_BYTES;
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    const high = Math.floor(value / 2 ** 32);
    array.writeInt32BE(8, at);
    array.writeInt32BE(high, at + 4);
    array.writeUInt32BE(value - high * 2 ** 32, at + 8);
    at += 12;
  }
  return array;
}

/** `null` becomes NULL. */
export function textArray(values: readonly (string | null)[]): Buffer {
  let most = 0;
  for (let i = 0; i < values.length; i++) most += 4 + (values[i]?.length ?? 0) * 3;
  const array = begin(TEXT, values.length, most);
  let at = HEADER_BYTES;
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    const length = value === null ? NULL_LENGTH : array.write(value, at + 4, "utf8");
    array.writeInt32BE(length, at);
    at += 4 + Math.max(length, 0);
  }
  return array.subarray(0, at);
}

export function byteaArray(values: readonly Uint8Array[]): Buffer {
  let bytes = 0;
  for (let i = 0; i < values.length; i++) bytes += 4 + values[i]!.length;
  const array = begin(BYTEA, values.length, bytes);
  let at = HEADER_BYTES;
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    array.writeInt32BE(value.length, at);
    array.set(value, at + 4);
    at += 4 + value.length;
  }
  return array;
}

/** Of 32 hexadecimal digits each; "" becomes NULL. */
export function uuidArray(values: readonly string[]): Buffer {
  const array = begin(UUID, values.length, values.length * 20);
  let at = HEADER_BYTES;
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    array.writeInt32BE(value === "" ? NULL_LENGTH : 16, at);
    at += 4;
    if (value !== "") at += array.write(value, at, "hex");
  }
  return array.subarray(0, at);
}

/** Dimensions, whether there may be NULLs, the elements' type, then length and lower bound of the one dimension. */
function begin(type: number, length: number, bytes: number): Buffer {
  const array = Buffer.allocUnsafe(HEADER_BYTES + bytes);
  array.writeInt32BE(1, 0);
  array.writeInt32BE(1, 4);
  array.writeInt32BE(type, 8);
  array.writeInt32BE(length, 12);
  array.writeInt32BE(1, 16);
  return array;
}
