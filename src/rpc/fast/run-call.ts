import type { BusError, CodeName } from "../../core/errors.ts";
import { BusError as Failure } from "../../core/errors.ts";
import type { Identity } from "../../core/identity.ts";
import { FrameReader } from "../../wire/frames.ts";
import { toBusError } from "../error-status.ts";
import { FastCall } from "./call.ts";
import type { FastContext } from "./context.ts";
import { type ProtocolName, timeoutOf } from "./protocol.ts";
import type { Sink } from "./sink.ts";

/** One method on the fast path. */
export interface FastMethod {
  readonly name: string;
  readonly unary: boolean;
  /** Called once the caller is known. */
  open(call: FastCall, identity: Identity, context: FastContext, finish: (error?: BusError) => void): FastHandler;
}

/** What a method does with its call. Every member may be called after the call finished, and then does nothing. */
export interface FastHandler {
  /** One request message. May throw. */
  onMessage(payload: Buffer): void;
  /** The client sends no more. May throw. */
  onEnd(): void;
  onDrain(): void;
  /** Always called, once, last. */
  onClose(graceful: boolean): void;
}

/** gRPC and Connect mark a compressed message so. This path takes none. */
const COMPRESSED = 0x01;

/** Runs one call from its headers to its end: authenticate, deadline, frames, errors, metrics. */
export function runCall(method: FastMethod, protocol: ProtocolName, sink: Sink, context: FastContext): void {
  const { bus, callers, meter } = context;
  const call = new FastCall(protocol, sink);
  const ended = meter.begin(method.name, "fast", method.unary);
  let code: CodeName | "OK" | undefined;
  let handler: FastHandler | undefined;
  let stopTimer: (() => void) | undefined;

  const finish = (error?: BusError) => {
    if (call.finished) return;
    code ??= error?.code ?? "OK";
    call.finish(error);
  };
  const guarded = (task: () => void) => {
    try {
      task();
    } catch (thrown) {
      finish(toBusError(thrown, bus.logger));
    }
  };
  const frames = new FrameReader(bus.options.limits.requestBytes, (payload, flags) => {
    if (call.finished) return;
    if ((flags & COMPRESSED) !== 0) throw new Failure("MALFORMED_REQUEST", "a compressed message without an encoding");
    handler?.onMessage(payload);
  });
  const whole: Buffer[] = [];
  let wholeBytes = 0;

  sink.listen({
    onData: (chunk) =>
      guarded(() => {
        if (call.finished) return;
        if (protocol !== "connect-unary") return frames.push(chunk);
        wholeBytes += chunk.length;
        if (wholeBytes > bus.options.limits.requestBytes) {
          const limit = bus.options.limits.requestBytes;
          throw new Failure("REQUEST_TOO_LARGE", `the request is larger than ${limit} bytes`);
        }
        whole.push(chunk);
      }),
    onEnd: () =>
      guarded(() => {
        if (call.finished) return;
        if (protocol === "connect-unary") handler?.onMessage(whole.length === 1 ? whole[0]! : Buffer.concat(whole));
        else if (frames.partial) throw new Failure("MALFORMED_REQUEST", "the request ends within a message");
        handler?.onEnd();
      }),
    onDrain: () => guarded(() => handler?.onDrain()),
    onClose: (graceful) => {
      stopTimer?.();
      ended(code ?? (call.finished ? "OK" : "CANCELLED"));
      handler?.onClose(graceful);
    },
  });

  guarded(() => {
    const { headers } = sink;
    const timeoutMs = timeoutOf(single(headers["grpc-timeout"]), single(headers["connect-timeout-ms"]));
    if (timeoutMs === null) throw new Failure("MALFORMED_REQUEST", "the call's timeout is malformed");
    const identity = callers.identify(call.authorization);
    handler = method.open(call, identity, context, finish);
    if (timeoutMs !== undefined) {
      const expire = () => finish(new Failure("DEADLINE", `the call's deadline of ${timeoutMs} ms passed`));
      // Longer than a timer can count means never, in effect.
      if (timeoutMs < 2 ** 31) stopTimer = bus.clock.after(timeoutMs, expire);
    }
  });
}

function single(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value;
}
