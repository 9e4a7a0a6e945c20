import { Code, ConnectError, type Interceptor, type StreamResponse } from "@connectrpc/connect";
import { BusError, type CodeName } from "../core/errors.ts";
import type { Logger } from "../core/logger.ts";
import { identityKey } from "./call-identity.ts";
import type { CallMeter } from "./call-meter.ts";
import type { Callers } from "./callers.ts";
import { fromConnectError, toBusError, toConnectError } from "./errors/error-status.ts";
import type { RequestValidator } from "./errors/validation.ts";

export interface InterceptorOptions {
  readonly callers: Callers;
  readonly validator: RequestValidator;
  readonly meter: CallMeter;
  readonly logger: Logger;
  /** Whether a service answers without an API key. */
  readonly isPublic: (service: string) => boolean;
}

/** What every portable call runs through, outermost first. */
export function createInterceptors(options: InterceptorOptions): Interceptor[] {
  return [observe(options), authenticate(options), validate(options)];
}

/** Measures, and turns what is thrown into a status with a reason: also what is thrown while a stream is read. */
function observe({ meter, logger }: InterceptorOptions): Interceptor {
  return (next) => async (request) => {
    const { typeName, name } = { typeName: request.service.typeName, name: request.method.name };
    const method = `${typeName.slice(typeName.lastIndexOf(".") + 1)}/${name}`;
    const ended = meter.begin(method, "portable", !request.stream && request.method.methodKind === "unary");
    const fail = (thrown: unknown) => {
      // Whatever breaks after the call was ended from outside, breaks because of that.
      const error = request.signal.aborted ? endedBy(request.signal.reason) : toBusError(thrown, logger);
      ended(error.code);
      return toConnectError(error);
    };
    try {
      const response = await next(request);
      if (response.stream) return { ...response, message: watched(response, request.signal, ended, fail) };
      request.signal.throwIfAborted();
      ended("OK");
      return response;
    } catch (thrown) {
      throw fail(thrown);
    }
  };
}

async function* watched(
  response: StreamResponse,
  signal: AbortSignal,
  ended: (code: CodeName | "OK") => void,
  fail: (thrown: unknown) => unknown,
) {
  let over = false;
  try {
    yield* response.message;
    // A handler that stops because its call ended must not look like one that had nothing more to say.
    signal.throwIfAborted();
    over = true;
    ended("OK");
  } catch (thrown) {
    over = true;
    throw fail(thrown);
  } finally {
    if (!over) ended("CANCELLED");
  }
}

/** Why a call ended before its handler did: its deadline, the node's leaving, or its caller's. */
function endedBy(reason: unknown): BusError {
  const known = reason instanceof ConnectError && [Code.DeadlineExceeded, Code.Unavailable].includes(reason.code);
  return known ? fromConnectError(reason) : new BusError("CANCELLED", "the caller left");
}

function authenticate({ callers, isPublic }: InterceptorOptions): Interceptor {
  return (next) => async (request) => {
    if (!isPublic(request.service.typeName)) {
      request.contextValues.set(identityKey, callers.identify(request.header.get("authorization") ?? undefined));
    }
    return await next(request);
  };
}

/** Publish checks its messages by hand, faster; the bidi streams check their frames themselves. */
function validate({ validator }: InterceptorOptions): Interceptor {
  return (next) => async (request) => {
    const { methodKind, input, name } = request.method;
    if (!request.stream && name !== "Publish") {
      validator.check(input, request.message as never);
    } else if (request.stream && methodKind === "server_streaming") {
      return await next({
        ...request,
        message: checked(request.message, (message) => validator.check(input, message as never)),
      });
    }
    return await next(request);
  };
}

async function* checked<T>(messages: AsyncIterable<T>, check: (message: T) => void): AsyncIterable<T> {
  for await (const message of messages) {
    check(message);
    yield message;
  }
}
