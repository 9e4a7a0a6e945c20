/**
 * Statements are sent as text, several in one packet, because that is what saves round trips. No value in them can end its
 * literal by construction: it is a checked integer, hexadecimal digits, or made of letters that mean nothing to SQL.
 */

/** Neither quote nor backslash, and ASCII alone. */
const PLAIN = /^[A-Za-z0-9 ._@|:/+-]*$/;

/** A string, for a VARBINARY or BLOB column. */
export function text(value: string): string {
  return PLAIN.test(value) ? `'${value}'` : bytes(Buffer.from(value));
}

export function textOrNull(value: string | null): string {
  return value === null ? "NULL" : text(value);
}

export function bytes(value: Uint8Array): string {
  const buffer = Buffer.isBuffer(value) ? value : Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  return hex(buffer.toString("hex"));
}

/** Hexadecimal digits that this program has made. */
export function hex(digits: string): string {
  return digits === "" ? "''" : `x'${digits}'`;
}

/** Throws a RangeError for what is not a safe integer. */
export function integer(value: number): string {
  if (!Number.isSafeInteger(value)) throw new RangeError(`${value} is not a safe integer`);
  return String(value);
}

/** Statements in packets of at most `maxBytes`, in order. All text is ASCII: its length is its size. */
export function packetsOf(statements: readonly string[], maxBytes: number): readonly (readonly string[])[] {
  const packets: string[][] = [];
  let bytesInLast = 0;
  for (const statement of statements) {
    if (packets.length === 0 || bytesInLast + statement.length + 1 > maxBytes) {
      packets.push([]);
      bytesInLast = 0;
    }
    packets.at(-1)!.push(statement);
    bytesInLast += statement.length + 1;
  }
  return packets;
}
