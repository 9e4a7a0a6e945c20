import { BusError } from "../core/errors.ts";
import { FRAME_HEADER_BYTES } from "../core/message-codec.ts";

/** One length-prefixed frame, as gRPC, gRPC-Web and Connect streams have it. */
export function frameOf(payload: Uint8Array, flags = 0): Buffer {
  const frame = Buffer.allocUnsafe(FRAME_HEADER_BYTES + payload.length);
  frame[0] = flags;
  frame.writeUInt32BE(payload.length, 1);
  frame.set(payload, FRAME_HEADER_BYTES);
  return frame;
}

/** Cuts a stream of bytes into frames. A payload shares memory with the chunk it came in, when it came in one. */
export class FrameReader {
  readonly #maxBytes: number;
  readonly #onFrame: (payload: Buffer, flags: number) => void;
  #chunks: Buffer[] = [];
  #held = 0;
  /** What must be there before anything can be cut. */
  #needed = FRAME_HEADER_BYTES;

  constructor(maxBytes: number, onFrame: (payload: Buffer, flags: number) => void) {
    this.#maxBytes = maxBytes;
    this.#onFrame = onFrame;
  }

  /** Whether a frame was begun and not ended. */
  get partial(): boolean {
    return this.#held > 0;
  }

  /** Calls back for each frame that is complete. Throws REQUEST_TOO_LARGE. */
  push(chunk: Buffer): void {
    this.#held += chunk.length;
    if (this.#held < this.#needed) {
      this.#chunks.push(chunk);
      return;
    }
    let bytes = chunk;
    if (this.#chunks.length > 0) {
      this.#chunks.push(chunk);
      bytes = Buffer.concat(this.#chunks);
      this.#chunks = [];
    }
    let at = 0;
    this.#needed = FRAME_HEADER_BYTES;
    while (bytes.length - at >= FRAME_HEADER_BYTES) {
      const length = bytes.readUInt32BE(at + 1);
      if (length > this.#maxBytes) {
        throw new BusError("REQUEST_TOO_LARGE", `a request of ${length} bytes is more than ${this.#maxBytes}`);
      }
      const end = at + FRAME_HEADER_BYTES + length;
      if (end > bytes.length) {
        this.#needed = FRAME_HEADER_BYTES + length;
        break;
      }
      const start = at + FRAME_HEADER_BYTES;
      at = end;
      this.#held = bytes.length - at;
      this.#onFrame(bytes.subarray(start, end), bytes[start - FRAME_HEADER_BYTES]!);
    }
    this.#held = bytes.length - at;
    if (this.#held > 0) this.#chunks.push(at === 0 ? bytes : bytes.subarray(at));
  }
}
