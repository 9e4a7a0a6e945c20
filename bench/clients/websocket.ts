import { openRawSocket, type RawSocket } from "./raw-socket.ts";

const FIN_BINARY = 0x82;
const MASKED = 0x80;
const LENGTH_16 = 126;
const LENGTH_64 = 127;
const OPCODE_CLOSE = 8;
const OPCODE_PING = 9;

const STATE = { HANDSHAKE: 0, START: 1, LENGTH: 2, EXTENDED: 3, BODY: 4 } as const;

/** Encodes a client's frame. The mask is zero, which leaves the payload as it is: masking is not what is measured. */
export function encodeClientFrame(payload: Buffer): Buffer {
  const extended = payload.length < LENGTH_16 ? 0 : payload.length < 65_536 ? 2 : 8;
  const frame = Buffer.alloc(2 + extended + 4 + payload.length);
  frame[0] = FIN_BINARY;
  frame[1] = MASKED | (extended === 0 ? payload.length : extended === 2 ? LENGTH_16 : LENGTH_64);
  if (extended === 2) frame.writeUInt16BE(payload.length, 2);
  if (extended === 8) frame.writeBigUInt64BE(BigInt(payload.length), 2);
  payload.copy(frame, 2 + extended + 4);
  return frame;
}

/**
 * Opens a WebSocket without compression. `onFrames` gets how many data frames each read completed; `onFrame`, when
 * given, gets the payload of those that were read in one piece.
 */
export async function openWebSocket(
  port: number,
  path: string,
  onFrames: (frames: number) => void,
  onProblem: (problem: string) => void,
  onFrame?: (bytes: Buffer, start: number, end: number) => void,
): Promise<RawSocket> {
  const { promise: upgraded, resolve } = Promise.withResolvers<void>();
  const counter = new FrameCounter(resolve, onProblem, onFrame);
  const socket = await openRawSocket(
    port,
    (bytes, end) => {
      const frames = counter.count(bytes, end);
      if (frames > 0) onFrames(frames);
    },
    (problem) => onProblem(`a WebSocket was closed: ${problem}`),
  );
  socket.write(
    Buffer.from(
      `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n",
    ),
  );
  await upgraded;
  return socket;
}

class FrameCounter {
  readonly #onUpgraded: () => void;
  readonly #onProblem: (problem: string) => void;
  readonly #onFrame: ((bytes: Buffer, start: number, end: number) => void) | undefined;
  #state: number = STATE.HANDSHAKE;
  #handshake = "";
  #extended = 0;
  #length = 0;
  #left = 0;

  constructor(
    onUpgraded: () => void,
    onProblem: (problem: string) => void,
    onFrame: ((bytes: Buffer, start: number, end: number) => void) | undefined,
  ) {
    this.#onUpgraded = onUpgraded;
    this.#onProblem = onProblem;
    this.#onFrame = onFrame;
  }

  count(bytes: Buffer, end: number): number {
    let offset = this.#state === STATE.HANDSHAKE ? this.#readHandshake(bytes, end) : 0;
    let frames = 0;
    while (offset < end) {
      switch (this.#state) {
        case STATE.START: {
          const opcode = bytes[offset++]! & 0x0f;
          if (opcode === OPCODE_CLOSE || opcode === OPCODE_PING) this.#onProblem(`WebSocket opcode ${opcode}`);
          this.#state = STATE.LENGTH;
          break;
        }
        case STATE.LENGTH: {
          const length = bytes[offset++]! & 0x7f;
          this.#extended = length === LENGTH_16 ? 2 : length === LENGTH_64 ? 8 : 0;
          this.#length = this.#extended === 0 ? length : 0;
          this.#left = this.#length;
          this.#state = this.#extended > 0 ? STATE.EXTENDED : STATE.BODY;
          if (this.#left === 0 && this.#extended === 0) {
            frames++;
            this.#state = STATE.START;
          }
          break;
        }
        case STATE.EXTENDED:
          this.#length = this.#length * 256 + bytes[offset++]!;
          if (--this.#extended > 0) break;
          this.#left = this.#length;
          this.#state = STATE.BODY;
          break;
        default: {
          const size = Math.min(this.#left, end - offset);
          if (size === this.#length) this.#onFrame?.(bytes, offset, offset + size);
          offset += size;
          this.#left -= size;
          if (this.#left > 0) break;
          frames++;
          this.#state = STATE.START;
        }
      }
    }
    return frames;
  }

  /** Returns where the bytes behind the handshake start. */
  #readHandshake(bytes: Buffer, end: number): number {
    const before = this.#handshake.length;
    this.#handshake += bytes.toString("latin1", 0, end);
    const stop = this.#handshake.indexOf("\r\n\r\n");
    if (stop < 0) return end;
    if (!this.#handshake.startsWith("HTTP/1.1 101")) this.#onProblem(this.#handshake.split("\r\n", 1)[0] ?? "");
    this.#state = STATE.START;
    this.#onUpgraded();
    return stop + 4 - before;
  }
}
