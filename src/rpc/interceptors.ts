import type { Interceptor, StreamResponse } from "@connectrpc/connect";
import { BusError, type CodeName } from "../core/errors.ts";
import type { Logger } from "../core/logger.ts";
import type { CallMeter } from "./call-meter.ts";
import { identityKey } from "./call-identity.ts";
import type { Callers } from "./callers.ts";
import { toBusError, toConnectError } from "./error-status.ts";
import type { RequestValidator } from "./validation.ts";

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
      // Whatever breaks after the caller left, breaks because it left.
      const error = request.signal.aborted ? new BusError("CANCELLED", "the caller left") : toBusError(thrown, logger);
      ended(error.code);
      return toConnectError(error);
    };
    try {
      const response = await next(request);
      if (response.stream) return { ...response, message: watched(response, ended, fail) };
      ended("OK");
      return response;
    } catch (thrown) {
      throw fail(thrown);
    }
  };
}

async function* watched(
  response: StreamResponse,
  ended: (code: CodeName | "OK") => void,
  fail: (thrown: unknown) => unknown,
) {
  let over = false;
  try {
    yield* response.message;
    over = true;
    ended("OK");
  } catch (thrown) {
    over = true;
    throw fail(thrown);
  } finally {
    if (!over) ended("CANCELLED");
  }
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
      return await next({ ...request, message: checked(request.message, (message) => validator.check(input, message as never)) });
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
