import type { BusError } from "../../core/errors.ts";
import { connectErrorJson, endingOf, HTTP_STATUS, type ProtocolName } from "./protocol.ts";
import type { Sink } from "./sink.ts";

const RESPONSE_TYPE: Readonly<Record<ProtocolName, string>> = {
  grpc: "application/grpc+proto",
  "grpc-web": "application/grpc-web+proto",
  "connect-stream": "application/connect+proto",
  "connect-unary": "application/proto",
};

/** One call on the fast path: headers, frames and the end of whichever protocol the client speaks. */
export class FastCall {
  readonly protocol: ProtocolName;
  readonly sink: Sink;
  #started = false;
  #finished = false;

  constructor(protocol: ProtocolName, sink: Sink) {
    this.protocol = protocol;
    this.sink = sink;
  }

  get finished(): boolean {
    return this.#finished;
  }

  get authorization(): string | undefined {
    return this.sink.headers.authorization;
  }

  /** Sends the response headers of a call that goes well so far. */
  start(): void {
    if (this.#started || this.#finished) return;
    this.#started = true;
    this.sink.respond(200, { "content-type": RESPONSE_TYPE[this.protocol] });
  }

  /** Sends a finished frame. False: wait for the drain, which never comes once the call is finished. */
  write(frame: Uint8Array): boolean {
    if (this.#finished) return false;
    this.start();
    return this.sink.write(frame);
  }

  /** Ends a stream, or any call that failed. */
  finish(error?: BusError): void {
    if (this.#finished) return;
    if (this.protocol === "connect-unary") {
      if (error !== undefined) this.#failUnary(error);
      return;
    }
    const ending = endingOf(this.protocol, error);
    this.start();
    this.#finished = true;
    if (ending.kind === "trailers") this.sink.end(undefined, ending.trailers);
    else this.sink.end(ending.frame, undefined);
  }

  /** Answers a unary call. `frame` has FRAME_HEADER_BYTES before the message, which unary Connect leaves out. */
  answer(frame: Uint8Array, headerBytes: number): void {
    if (this.#finished) return;
    if (this.protocol === "connect-unary") {
      this.#finished = true;
      const body = frame.subarray(headerBytes);
      this.sink.respond(200, { "content-type": RESPONSE_TYPE[this.protocol], "content-length": String(body.length) });
      this.sink.end(body, undefined);
      return;
    }
    this.start();
    this.#finished = true;
    const ending = endingOf(this.protocol, undefined);
    if (ending.kind === "trailers") {
      this.sink.end(frame, ending.trailers);
    } else {
      this.sink.write(frame);
      this.sink.end(ending.frame, undefined);
    }
  }

  #failUnary(error: BusError): void {
    this.#finished = true;
    const body = Buffer.from(JSON.stringify(connectErrorJson(error)));
    this.sink.respond(HTTP_STATUS[error.code], {
      "content-type": "application/json",
      "content-length": String(body.length),
    });
    this.sink.end(body, undefined);
  }
}
