import { connect, type Socket } from "node:net";
import {
  DEFAULT_WINDOW,
  encodeConnectionStart,
  encodeFrame,
  encodeGrpcHeaders,
  encodeWindowUpdate,
  FLAG,
  FRAME,
  FRAME_HEADER_BYTES,
  MAX_FRAME_BYTES,
  SETTINGS_INITIAL_WINDOW_SIZE,
  writeFrameHeader,
} from "./http2-frames.ts";

/** Receives the body of one stream. `bytes` is reused as soon as the call returns. */
export interface StreamListener {
  data(bytes: Buffer, start: number, end: number): void;
  /** The stream is over. `problem` says so when it was reset or cut. */
  ended(problem: string | undefined): void;
}

interface Stream {
  readonly listener: StreamListener;
  sendWindow: number;
  received: number;
  pending: Buffer[];
  endAfterPending: boolean;
  done: boolean;
}

/** One buffer serves all connections of the process: what is read is consumed before the next read. */
const readBuffer = Buffer.allocUnsafeSlow(262_144);

/** A quarter of the receive window: often enough never to run dry, rare enough to cost nothing. */
const REPLENISH_BYTES = 0x20000000;

/**
 * An HTTP/2 client that does as little as possible: it counts bytes of bodies and never looks at headers, so that what
 * a benchmark measures is the server. Cleartext with prior knowledge only.
 */
export class Http2Connection {
  readonly #socket: Socket;
  readonly #authority: string;
  readonly #streams = new Map<number, Stream>();
  readonly #headers = new Map<string, Buffer>();
  readonly #frameHeader = Buffer.alloc(FRAME_HEADER_BYTES);
  #frameHeaderBytes = 0;
  #frameLeft = 0;
  #frameType = 0;
  #frameFlags = 0;
  #frameStream = 0;
  #control: Buffer[] = [];
  #current: Stream | undefined;
  #nextStream = 1;
  #sendWindow = DEFAULT_WINDOW;
  #initialStreamWindow = DEFAULT_WINDOW;
  #received = 0;
  #out: Buffer[] = [];
  #flushScheduled = false;
  #closed = false;
  #onSettings: (() => void) | undefined;

  private constructor(socket: Socket, authority: string) {
    this.#socket = socket;
    this.#authority = authority;
  }

  /** Connects and waits for the server's SETTINGS. */
  static open(port: number, host = "127.0.0.1"): Promise<Http2Connection> {
    return new Promise((resolve, reject) => {
      const socket = connect({
        port,
        host,
        noDelay: true,
        onread: {
          buffer: readBuffer,
          callback: (size) => {
            connection.#read(size);
            return true;
          },
        },
      });
      const connection = new Http2Connection(socket, `${host}:${port}`);
      connection.#onSettings = () => resolve(connection);
      socket.once("error", (error) => {
        reject(error);
        connection.#fail(error.message);
      });
      socket.once("close", () => connection.#fail("the connection was closed"));
      socket.write(encodeConnectionStart());
    });
  }

  /** Starts a gRPC call to `path` and returns its stream id. */
  open(path: string, listener: StreamListener): number {
    const id = this.#nextStream;
    this.#nextStream += 2;
    this.#streams.set(id, {
      listener,
      sendWindow: this.#initialStreamWindow,
      received: 0,
      pending: [],
      endAfterPending: false,
      done: false,
    });
    this.#write(encodeFrame(FRAME.HEADERS, FLAG.END_HEADERS, id, this.#headerBlock(path)));
    return id;
  }

  /** Sends part of a call's body, split into frames; waits in memory where the server's windows are used up. */
  send(id: number, bytes: Buffer, end = false): void {
    const stream = this.#streams.get(id);
    if (!stream) return;
    stream.endAfterPending ||= end;
    if (stream.pending.length > 0) stream.pending.push(bytes);
    else this.#sendSome(id, stream, bytes);
  }

  /** Writes at once what would be written at the end of this turn. */
  flush(): void {
    const out = this.#out;
    if (out.length === 0 || this.#closed) return;
    this.#out = [];
    this.#socket.write(out.length === 1 ? out[0]! : Buffer.concat(out));
  }

  close(): void {
    this.#closed = true;
    this.#socket.destroy();
  }

  #headerBlock(path: string): Buffer {
    const known = this.#headers.get(path);
    if (known) return known;
    const block = encodeGrpcHeaders(this.#authority, path);
    this.#headers.set(path, block);
    return block;
  }

  #sendSome(id: number, stream: Stream, bytes: Buffer): void {
    let offset = 0;
    while (offset < bytes.length) {
      const size = Math.min(bytes.length - offset, MAX_FRAME_BYTES, this.#sendWindow, stream.sendWindow);
      if (size <= 0) {
        stream.pending.unshift(offset === 0 ? bytes : bytes.subarray(offset));
        return;
      }
      const last = offset + size === bytes.length && stream.pending.length === 0 && stream.endAfterPending;
      const frame = Buffer.allocUnsafe(FRAME_HEADER_BYTES + size);
      writeFrameHeader(frame, 0, size, FRAME.DATA, last ? FLAG.END_STREAM : 0, id);
      bytes.copy(frame, FRAME_HEADER_BYTES, offset, offset + size);
      this.#write(frame);
      this.#sendWindow -= size;
      stream.sendWindow -= size;
      offset += size;
    }
  }

  #sendPending(id: number, stream: Stream): void {
    while (stream.pending.length > 0 && this.#sendWindow > 0 && stream.sendWindow > 0) {
      this.#sendSome(id, stream, stream.pending.shift()!);
    }
  }

  /** Gathers what is written in one turn into one system call. */
  #write(bytes: Buffer): void {
    this.#out.push(bytes);
    if (this.#flushScheduled) return;
    this.#flushScheduled = true;
    queueMicrotask(() => {
      this.#flushScheduled = false;
      this.flush();
    });
  }

  #read(end: number): void {
    let offset = 0;
    while (offset < end) {
      if (this.#frameLeft === 0) {
        offset = this.#readFrameHeader(offset, end);
        if (this.#frameHeaderBytes < FRAME_HEADER_BYTES) return;
        this.#frameHeaderBytes = 0;
        this.#startFrame();
        if (this.#frameLeft === 0) this.#endFrame();
        continue;
      }
      const stop = Math.min(end, offset + this.#frameLeft);
      if (this.#frameType === FRAME.DATA) this.#readData(offset, stop);
      else this.#control.push(Buffer.from(readBuffer.subarray(offset, stop)));
      this.#frameLeft -= stop - offset;
      offset = stop;
      if (this.#frameLeft === 0) this.#endFrame();
    }
  }

  #readFrameHeader(offset: number, end: number): number {
    const stop = Math.min(end, offset + FRAME_HEADER_BYTES - this.#frameHeaderBytes);
    readBuffer.copy(this.#frameHeader, this.#frameHeaderBytes, offset, stop);
    this.#frameHeaderBytes += stop - offset;
    return stop;
  }

  #startFrame(): void {
    const header = this.#frameHeader;
    this.#frameLeft = (header[0]! << 16) | (header[1]! << 8) | header[2]!;
    this.#frameType = header[3]!;
    this.#frameFlags = header[4]!;
    this.#frameStream = header.readUInt32BE(5) & 0x7fffffff;
    if (this.#frameType !== FRAME.DATA) return;
    if ((this.#frameFlags & FLAG.PADDED) !== 0) throw new Error("the server pads DATA frames, which are not counted");
    this.#current = this.#streams.get(this.#frameStream);
    this.#received += this.#frameLeft;
    if (this.#received >= REPLENISH_BYTES) {
      this.#write(encodeWindowUpdate(0, this.#received));
      this.#received = 0;
    }
  }

  #readData(start: number, end: number): void {
    const stream = this.#current;
    if (!stream) return;
    stream.received += end - start;
    if (stream.received >= REPLENISH_BYTES) {
      this.#write(encodeWindowUpdate(this.#frameStream, stream.received));
      stream.received = 0;
    }
    stream.listener.data(readBuffer, start, end);
  }

  #endFrame(): void {
    const endsStream =
      (this.#frameType === FRAME.DATA || this.#frameType === FRAME.HEADERS) &&
      (this.#frameFlags & FLAG.END_STREAM) !== 0;
    if (this.#frameType !== FRAME.DATA) {
      const payload = this.#control.length === 1 ? this.#control[0]! : Buffer.concat(this.#control);
      this.#control = [];
      this.#controlFrame(payload);
    }
    if (endsStream) this.#endStream(this.#frameStream, undefined);
  }

  #controlFrame(payload: Buffer): void {
    switch (this.#frameType) {
      case FRAME.SETTINGS:
        if ((this.#frameFlags & FLAG.ACK) === 0) this.#applySettings(payload);
        break;
      case FRAME.PING:
        if ((this.#frameFlags & FLAG.ACK) === 0) this.#write(encodeFrame(FRAME.PING, FLAG.ACK, 0, payload));
        break;
      case FRAME.WINDOW_UPDATE:
        this.#widen(this.#frameStream, payload.readUInt32BE(0) & 0x7fffffff);
        break;
      case FRAME.RST_STREAM:
        this.#endStream(this.#frameStream, `the server reset the stream with code ${payload.readUInt32BE(0)}`);
        break;
      case FRAME.GOAWAY:
        this.#fail(`the server sent GOAWAY with code ${payload.readUInt32BE(4)} ${payload.toString("latin1", 8)}`);
        break;
    }
  }

  #applySettings(payload: Buffer): void {
    for (let i = 0; i + 6 <= payload.length; i += 6) {
      if (payload.readUInt16BE(i) !== SETTINGS_INITIAL_WINDOW_SIZE) continue;
      const size = payload.readUInt32BE(i + 2);
      const change = size - this.#initialStreamWindow;
      this.#initialStreamWindow = size;
      for (const [id, stream] of this.#streams) {
        stream.sendWindow += change;
        this.#sendPending(id, stream);
      }
    }
    this.#write(encodeFrame(FRAME.SETTINGS, FLAG.ACK, 0, Buffer.alloc(0)));
    this.#onSettings?.();
    this.#onSettings = undefined;
  }

  #widen(id: number, increment: number): void {
    if (id !== 0) {
      const stream = this.#streams.get(id);
      if (!stream) return;
      stream.sendWindow += increment;
      this.#sendPending(id, stream);
      return;
    }
    this.#sendWindow += increment;
    for (const [streamId, stream] of this.#streams) this.#sendPending(streamId, stream);
  }

  #endStream(id: number, problem: string | undefined): void {
    const stream = this.#streams.get(id);
    if (!stream) return;
    this.#streams.delete(id);
    if (stream.done) return;
    stream.done = true;
    stream.listener.ended(problem);
  }

  #fail(problem: string): void {
    if (this.#closed) return;
    for (const id of [...this.#streams.keys()]) this.#endStream(id, problem);
  }
}
