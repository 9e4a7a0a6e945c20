const HEADER_BYTES = 5;

/** Cuts a stream of bytes into gRPC messages. Unlike the DeliveryCounter it copies them, to be looked into. */
export class GrpcMessageReader {
  readonly #onMessage: (message: Buffer) => void;
  #rest: Buffer = Buffer.alloc(0);

  constructor(onMessage: (message: Buffer) => void) {
    this.#onMessage = onMessage;
  }

  read(bytes: Buffer, start: number, end: number): void {
    const piece = bytes.subarray(start, end);
    let buffer = this.#rest.length === 0 ? piece : Buffer.concat([this.#rest, piece]);
    while (buffer.length >= HEADER_BYTES) {
      const size = HEADER_BYTES + buffer.readUInt32BE(1);
      if (buffer.length < size) break;
      if (buffer[0] !== 0) throw new Error(`a gRPC message has flags ${buffer[0]}: compressed responses are not read`);
      this.#onMessage(Buffer.from(buffer.subarray(HEADER_BYTES, size)));
      buffer = buffer.subarray(size);
    }
    // A copy, because the bytes given are reused by the caller.
    this.#rest = Buffer.from(buffer);
  }
}
