/** What a client needs of RFC 9113 to speak gRPC, as bytes. */

export const FRAME_HEADER_BYTES = 9;
/** What every peer accepts unless it says otherwise. */
export const MAX_FRAME_BYTES = 16_384;
export const MAX_WINDOW = 0x7fffffff;
export const DEFAULT_WINDOW = 65_535;

export const FRAME = {
  DATA: 0,
  HEADERS: 1,
  RST_STREAM: 3,
  SETTINGS: 4,
  PUSH_PROMISE: 5,
  PING: 6,
  GOAWAY: 7,
  WINDOW_UPDATE: 8,
} as const;

export const FLAG = { END_STREAM: 0x1, ACK: 0x1, END_HEADERS: 0x4, PADDED: 0x8 } as const;

const SETTINGS_ENABLE_PUSH = 2;
export const SETTINGS_INITIAL_WINDOW_SIZE = 4;

export function writeFrameHeader(
  out: Buffer,
  offset: number,
  length: number,
  type: number,
  flags: number,
  streamId: number,
): void {
  out.writeUIntBE(length, offset, 3);
  out[offset + 3] = type;
  out[offset + 4] = flags;
  out.writeUInt32BE(streamId, offset + 5);
}

export function encodeFrame(type: number, flags: number, streamId: number, payload: Buffer): Buffer {
  const frame = Buffer.allocUnsafe(FRAME_HEADER_BYTES + payload.length);
  writeFrameHeader(frame, 0, payload.length, type, flags, streamId);
  payload.copy(frame, FRAME_HEADER_BYTES);
  return frame;
}

export function encodeWindowUpdate(streamId: number, increment: number): Buffer {
  const payload = Buffer.allocUnsafe(4);
  payload.writeUInt32BE(increment);
  return encodeFrame(FRAME.WINDOW_UPDATE, 0, streamId, payload);
}

/** The bytes a client starts with: preface, SETTINGS, and windows so wide that the server never waits for them. */
export function encodeConnectionStart(): Buffer {
  const settings = Buffer.allocUnsafe(12);
  settings.writeUInt16BE(SETTINGS_ENABLE_PUSH, 0);
  settings.writeUInt32BE(0, 2);
  settings.writeUInt16BE(SETTINGS_INITIAL_WINDOW_SIZE, 6);
  settings.writeUInt32BE(MAX_WINDOW, 8);
  return Buffer.concat([
    Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    encodeFrame(FRAME.SETTINGS, 0, 0, settings),
    encodeWindowUpdate(0, MAX_WINDOW - DEFAULT_WINDOW),
  ]);
}

// HPACK, RFC 7541: entries of the static table, and literals without indexing and without Huffman coding. Nothing is
// put into the dynamic table, so one block of bytes serves for every request of a connection.
const INDEXED_METHOD_POST = 0x83;
const INDEXED_SCHEME_HTTP = 0x86;
const NAME_AUTHORITY = 1;
const NAME_PATH = 4;
const NAME_CONTENT_TYPE = 31;
const NAME_USER_AGENT = 58;

/** The header block of a gRPC call. */
export function encodeGrpcHeaders(authority: string, path: string): Buffer {
  return Buffer.concat([
    Buffer.from([INDEXED_METHOD_POST, INDEXED_SCHEME_HTTP]),
    literal(NAME_PATH, path),
    literal(NAME_AUTHORITY, authority),
    literal(NAME_CONTENT_TYPE, "application/grpc+proto"),
    literal("te", "trailers"),
    literal(NAME_USER_AGENT, "agentbus-bench/1"),
  ]);
}

function literal(name: number | string, value: string): Buffer {
  const start = typeof name === "number" ? hpackInteger(name, 4) : Buffer.concat([Buffer.from([0]), hpackString(name)]);
  return Buffer.concat([start, hpackString(value)]);
}

function hpackString(text: string): Buffer {
  const bytes = Buffer.from(text);
  return Buffer.concat([hpackInteger(bytes.length, 7), bytes]);
}

function hpackInteger(value: number, prefixBits: number): Buffer {
  const limit = 2 ** prefixBits - 1;
  if (value < limit) return Buffer.from([value]);
  const bytes = [limit];
  let rest = value - limit;
  for (; rest >= 128; rest >>= 7) bytes.push((rest & 0x7f) | 0x80);
  bytes.push(rest);
  return Buffer.from(bytes);
}
