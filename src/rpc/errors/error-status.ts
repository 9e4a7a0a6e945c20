import { create, toBinary } from "@bufbuild/protobuf";
import { type Any, AnySchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { type Error as ErrorMessage, ErrorSchema } from "../../../gen/agentbus/v1/error_pb.ts";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "../../../gen/google/rpc/error_details_pb.ts";
import { BusError, CODES, isBusError } from "../../core/errors.ts";
import type { Logger } from "../../core/logger.ts";
import { durationOf } from "../translation/wkt.ts";

/** Who made the reason, in ErrorInfo. */
export const ERROR_DOMAIN = "agentbus";

/** What a failure carries beside code and message: ErrorInfo always, RetryInfo and BadRequest where they say something. */
export function errorDetails(error: BusError): Any[] {
  const { retryDelayMs, violations } = error.details;
  const details = [pack(ErrorInfoSchema.typeName, toBinary(ErrorInfoSchema, errorInfo(error)))];
  if (retryDelayMs !== undefined) {
    const info = create(RetryInfoSchema, { retryDelay: durationOf(retryDelayMs) });
    details.push(pack(RetryInfoSchema.typeName, toBinary(RetryInfoSchema, info)));
  }
  if (violations !== undefined && violations.length > 0) {
    const request = create(BadRequestSchema, { fieldViolations: violations.map((violation) => ({ ...violation })) });
    details.push(pack(BadRequestSchema.typeName, toBinary(BadRequestSchema, request)));
  }
  return details;
}

/** For calls that run through Connect's own handlers. */
export function toConnectError(error: BusError): ConnectError {
  const { retryDelayMs, violations } = error.details;
  const failure = new ConnectError(error.message, CODES[error.code] as Code, undefined, [
    { desc: ErrorInfoSchema, value: errorInfo(error) },
  ]);
  if (retryDelayMs !== undefined) {
    failure.details.push({ desc: RetryInfoSchema, value: { retryDelay: durationOf(retryDelayMs) } });
  }
  if (violations !== undefined && violations.length > 0) {
    failure.details.push({
      desc: BadRequestSchema,
      value: { fieldViolations: violations.map((violation) => ({ ...violation })) },
    });
  }
  return failure;
}

/** For one item of a stream that goes on. */
export function toErrorMessage(error: BusError): ErrorMessage {
  const { retryDelayMs, violations = [] } = error.details;
  return create(ErrorSchema, {
    code: CODES[error.code],
    reason: error.reason,
    message: error.message,
    metadata: metadataOf(error),
    ...(retryDelayMs === undefined ? {} : { retryDelay: durationOf(retryDelayMs) }),
    fieldViolations: violations.map(({ field, description }) => ({ field, description })),
  });
}

/** Whatever was thrown, as one of the table: what is not ours is logged and told as "internal error" only. */
export function toBusError(error: unknown, logger: Logger): BusError {
  if (isBusError(error)) {
    if (error.reason === "INTERNAL") logger.error({ error: error.cause ?? error }, "a call failed by a bug");
    return error;
  }
  if (error instanceof ConnectError) return fromConnectError(error);
  logger.error({ error }, "a call failed by a bug");
  return new BusError("INTERNAL", "internal error; the server's log has more", { cause: error });
}

/**
 * What Connect says of a request that it cannot read. It gives these the code INTERNAL, as if they were the server's fault;
 * only the text tells them from faults that are.
 */
const UNREADABLE_REQUEST = /^(?:parse binary: |received compressed envelope)/;

/** Errors of Connect itself (a body that does not parse, a deadline) get a reason of the table, too. */
export function fromConnectError(error: ConnectError): BusError {
  const text = error.rawMessage;
  if (UNREADABLE_REQUEST.test(text)) return new BusError("MALFORMED_REQUEST", text);
  switch (error.code) {
    case Code.InvalidArgument:
      return new BusError("MALFORMED_REQUEST", text);
    case Code.ResourceExhausted:
      return new BusError("REQUEST_TOO_LARGE", text);
    case Code.DeadlineExceeded:
      return new BusError("DEADLINE", text);
    case Code.Canceled:
      return new BusError("CANCELLED", text);
    case Code.Unimplemented:
      return new BusError("METHOD_NOT_FOUND", text);
    case Code.Unavailable:
      return new BusError("DRAINING", text);
    default:
      return new BusError("INTERNAL", text, { cause: error });
  }
}

function errorInfo(error: BusError) {
  return create(ErrorInfoSchema, { reason: error.reason, domain: ERROR_DOMAIN, metadata: metadataOf(error) });
}

function metadataOf(error: BusError): Record<string, string> {
  const { index, metadata } = error.details;
  return { retry: error.retry, ...(index === undefined ? {} : { index: String(index) }), ...metadata };
}

function pack(typeName: string, value: Uint8Array): Any {
  return create(AnySchema, { typeUrl: `type.googleapis.com/${typeName}`, value });
}
