import type { IncomingMessage, ServerResponse } from "node:http";
import { constants, type IncomingHttpHeaders, type ServerHttp2Stream } from "node:http2";

/** Headers that a response carries beside the protocol's own, for example those of CORS. */
export type ExtraHeaders = Readonly<Record<string, string>>;

export interface SinkEvents {
  onData(chunk: Buffer): void;
  onEnd(): void;
  onDrain(): void;
  /** Once. Graceful: the client took its call back; else it was cut, or ended by us. */
  onClose(graceful: boolean): void;
}

/** One HTTP exchange, the same for HTTP/2 and HTTP/1.1. */
export interface Sink {
  readonly headers: IncomingHttpHeaders;
  listen(events: SinkEvents): void;
  respond(status: number, headers: Record<string, string>): void;
  /** False: wait for onDrain. */
  write(bytes: Uint8Array): boolean;
  end(last: Uint8Array | undefined, trailers: Record<string, string> | undefined): void;
  pause(): void;
  resume(): void;
  destroy(): void;
}

export class Http2Sink implements Sink {
  readonly headers: IncomingHttpHeaders;
  readonly #stream: ServerHttp2Stream;
  readonly #extra: ExtraHeaders;
  #trailers: Record<string, string> | undefined;

  constructor(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, extra: ExtraHeaders) {
    this.headers = headers;
    this.#stream = stream;
    this.#extra = extra;
  }

  listen(events: SinkEvents): void {
    const stream = this.#stream;
    stream.on("data", (chunk: Buffer) => events.onData(chunk));
    stream.on("end", () => events.onEnd());
    stream.on("drain", () => events.onDrain());
    stream.on("error", () => {});
    stream.on("wantTrailers", () => {
      stream.sendTrailers(this.#trailers ?? {});
      // The client may still be sending: it learns that nobody listens, once it has what we said. Not before: a reset
      // would overtake the trailers.
      if (!stream.readableEnded) setImmediate(() => stream.close(constants.NGHTTP2_NO_ERROR));
    });
    stream.on("close", () => {
      const { session, rstCode } = stream;
      const alive = session !== undefined && !session.destroyed && !session.closed;
      events.onClose(alive && (rstCode === constants.NGHTTP2_CANCEL || rstCode === constants.NGHTTP2_NO_ERROR));
    });
  }

  respond(status: number, headers: Record<string, string>): void {
    if (this.#stream.destroyed || this.#stream.closed) return;
    this.#stream.respond({ ":status": status, ...headers, ...this.#extra }, { waitForTrailers: true });
  }

  write(bytes: Uint8Array): boolean {
    if (this.#stream.destroyed || this.#stream.closed) return false;
    return this.#stream.write(bytes);
  }

  end(last: Uint8Array | undefined, trailers: Record<string, string> | undefined): void {
    const stream = this.#stream;
    if (stream.destroyed || stream.closed) return;
    this.#trailers = trailers;
    if (last === undefined) stream.end();
    else stream.end(last);
  }

  pause(): void {
    this.#stream.pause();
  }

  resume(): void {
    this.#stream.resume();
  }

  destroy(): void {
    this.#stream.close(constants.NGHTTP2_INTERNAL_ERROR);
  }
}

export class Http1Sink implements Sink {
  readonly headers: IncomingHttpHeaders;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #extra: ExtraHeaders;

  constructor(request: IncomingMessage, response: ServerResponse, extra: ExtraHeaders) {
    this.headers = request.headers;
    this.#request = request;
    this.#response = response;
    this.#extra = extra;
  }

  listen(events: SinkEvents): void {
    let closed = false;
    const close = () => {
      if (closed) return;
      closed = true;
      // HTTP/1.1 takes a call back by closing the connection; a cut looks the same.
      events.onClose(false);
    };
    this.#request.on("data", (chunk: Buffer) => events.onData(chunk));
    this.#request.on("end", () => events.onEnd());
    this.#request.on("error", () => {});
    this.#response.on("drain", () => events.onDrain());
    this.#response.on("error", () => {});
    this.#response.on("close", close);
  }

  respond(status: number, headers: Record<string, string>): void {
    if (this.#response.destroyed) return;
    this.#response.writeHead(status, { ...headers, ...this.#extra });
    this.#response.flushHeaders();
  }

  write(bytes: Uint8Array): boolean {
    return this.#response.destroyed ? false : this.#response.write(bytes);
  }

  end(last: Uint8Array | undefined): void {
    if (this.#response.destroyed) return;
    if (last === undefined) this.#response.end();
    else this.#response.end(last);
  }

  pause(): void {
    this.#request.pause();
  }

  resume(): void {
    this.#request.resume();
  }

  destroy(): void {
    this.#response.destroy();
  }
}
