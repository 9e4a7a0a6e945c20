/** One field of an encoded protobuf message: its number, and where its content stands. */
export interface Field {
  number: number;
  wireType: number;
  start: number;
  end: number;
}

const VARINT = 0;
const FIXED64 = 1;
const LENGTH_DELIMITED = 2;
const FIXED32 = 5;

/** Calls `visit` for each field of the message at [start, end). The same object is passed each time. */
export function forEachField(bytes: Buffer, start: number, end: number, visit: (field: Field) => void): void {
  const field: Field = { number: 0, wireType: 0, start: 0, end: 0 };
  let offset = start;
  const varint = () => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[offset++]!;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
  };
  while (offset < end) {
    const tag = varint();
    field.number = Math.floor(tag / 8);
    field.wireType = tag & 7;
    if (field.wireType === LENGTH_DELIMITED) {
      const size = varint();
      field.start = offset;
      offset += size;
    } else {
      field.start = offset;
      if (field.wireType === VARINT) varint();
      else if (field.wireType === FIXED64) offset += 8;
      else if (field.wireType === FIXED32) offset += 4;
      else throw new Error(`wire type ${field.wireType} at byte ${offset}`);
    }
    field.end = offset;
    if (offset > end) throw new Error(`field ${field.number} ends ${offset - end} bytes behind its message`);
    visit(field);
  }
}

/** The varint at `offset`, up to 2^53. */
export function varintAt(bytes: Buffer, offset: number): number {
  let value = 0;
  for (let shift = 0, at = offset; ; shift += 7) {
    const byte = bytes[at++]!;
    value += (byte & 0x7f) * 2 ** shift;
    if (byte < 0x80) return value;
  }
}

export function encodeVarint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 0x80);
  bytes.push(rest);
  return Buffer.from(bytes);
}
