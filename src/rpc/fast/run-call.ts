import { BusError, type CodeName } from "../../core/errors.ts";
import type { Identity } from "../../core/identity.ts";
import { FrameReader } from "../../wire/frames.ts";
import type { CallEnd } from "../call-meter.ts";
import { toBusError } from "../errors/error-status.ts";
import { FastCall } from "./call.ts";
import type { FastContext } from "./context.ts";
import { type ProtocolName, timeoutOf } from "./protocol.ts";
import type { Sink, SinkEvents } from "./sink.ts";

/** One method on the fast path. */
export interface FastMethod {
  readonly name: string;
  readonly unary: boolean;
  /** Called once the caller is known. `finish` ends the call, with an error or well. */
  open(call: FastCall, identity: Identity, context: FastContext, finish: (error?: BusError) => void): FastHandler;
}

/** What a method does with its call. Every member may be called after the call finished, and then does nothing. */
export interface FastHandler {
  /** One request message. May throw. */
  onMessage(payload: Buffer): void;
  /** The client sends no more. May throw. */
  onEnd(): void;
  onDrain(): void;
  /** The call was ended from here (its deadline, say); how soon the client hears of it is another matter. */
  onFinish?(): void;
  /** Always called, once, last. */
  onClose(graceful: boolean): void;
}

/** gRPC and Connect mark a compressed message so. This path takes none. */
const COMPRESSED = 0x01;
/** Longer than a timer can count means never, in effect. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Runs one call from its headers to its end: authenticate, deadline, frames, errors, metrics. */
export function runCall(method: FastMethod, protocol: ProtocolName, sink: Sink, context: FastContext): void {
  new CallRun(method, protocol, sink, context).start();
}

/** One object for a call and few closures: a bus with thousands of streams holds as many of these. */
class CallRun implements SinkEvents {
  readonly #method: FastMethod;
  readonly #context: FastContext;
  readonly #call: FastCall;
  readonly #ended: CallEnd;
  #code: CodeName | "OK" | undefined;
  #handler: FastHandler | undefined;
  #stopTimer: (() => void) | undefined;
  /** Let go of when the request has been read. */
  #frames: FrameReader | undefined;
  /** The body of a unary Connect call, which has no frames. */
  #body: Buffer[] | undefined;
  #bodyBytes = 0;

  constructor(method: FastMethod, protocol: ProtocolName, sink: Sink, context: FastContext) {
    this.#method = method;
    this.#context = context;
    this.#call = new FastCall(protocol, sink);
    this.#ended = context.meter.begin(method.name, "fast", method.unary);
    if (protocol === "connect-unary") this.#body = [];
    else {
      this.#frames = new FrameReader(context.bus.options.limits.requestBytes, (payload, flags) =>
        this.#onFrame(payload, flags),
      );
    }
  }

  start(): void {
    const { sink } = this.#call;
    sink.listen(this);
    try {
      const { headers } = sink;
      const timeoutMs = timeoutOf(single(headers["grpc-timeout"]), single(headers["connect-timeout-ms"]));
      if (timeoutMs === null) throw new BusError("MALFORMED_REQUEST", "the call's timeout is malformed");
      const identity = this.#context.callers.identify(this.#call.authorization);
      this.#handler = this.#method.open(this.#call, identity, this.#context, (error) => this.#finish(error));
      if (timeoutMs !== undefined && timeoutMs <= MAX_TIMER_MS) {
        const expired = () => this.#finish(new BusError("DEADLINE", `the call's deadline of ${timeoutMs} ms passed`));
        this.#stopTimer = this.#context.bus.clock.after(timeoutMs, expired);
      }
    } catch (thrown) {
      this.#fail(thrown);
    }
  }

  onData(chunk: Buffer): void {
    if (this.#call.finished) return;
    try {
      if (this.#body === undefined) this.#frames?.push(chunk);
      else this.#addToBody(this.#body, chunk);
    } catch (thrown) {
      this.#fail(thrown);
    }
  }

  onEnd(): void {
    if (this.#call.finished) return;
    try {
      if (this.#body !== undefined) {
        this.#handler?.onMessage(this.#body.length === 1 ? this.#body[0]! : Buffer.concat(this.#body));
      } else if (this.#frames?.partial === true) {
        throw new BusError("MALFORMED_REQUEST", "the request ends within a message");
      }
      this.#body = undefined;
      this.#frames = undefined;
      this.#handler?.onEnd();
    } catch (thrown) {
      this.#fail(thrown);
    }
  }

  onDrain(): void {
    try {
      this.#handler?.onDrain();
    } catch (thrown) {
      this.#fail(thrown);
    }
  }

  onClose(graceful: boolean): void {
    this.#stopTimer?.();
    this.#ended(this.#code ?? (this.#call.finished ? "OK" : "CANCELLED"));
    this.#handler?.onClose(graceful);
  }

  #onFrame(payload: Buffer, flags: number): void {
    if (this.#call.finished) return;
    if ((flags & COMPRESSED) !== 0) {
      throw new BusError("MALFORMED_REQUEST", "a message is marked as compressed, and the call names no encoding");
    }
    this.#handler?.onMessage(payload);
  }

  #addToBody(body: Buffer[], chunk: Buffer): void {
    const { requestBytes } = this.#context.bus.options.limits;
    this.#bodyBytes += chunk.length;
    if (this.#bodyBytes > requestBytes) {
      throw new BusError("REQUEST_TOO_LARGE", `the request is larger than ${requestBytes} bytes`);
    }
    body.push(chunk);
  }

  #fail(thrown: unknown): void {
    this.#finish(toBusError(thrown, this.#context.bus.logger));
  }

  #finish(error?: BusError): void {
    if (this.#call.finished) return;
    this.#code ??= error?.code ?? "OK";
    this.#call.finish(error);
    this.#handler?.onFinish?.();
  }
}

function single(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value;
}
