import { durationMs } from "@bufbuild/protobuf/wkt";
import { ConnectError } from "@connectrpc/connect";
import type { Error as ItemError } from "./gen/agentbus/v1/error_pb.ts";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "./gen/google/rpc/error_details_pb.ts";
import { CODES, type CodeName, isReason, REASONS, type Reason, type Retry } from "./reasons.ts";

/** What was wrong with one field of a request. */
export interface FieldViolation {
  /** Path of the field, for example "messages[2].metadata". */
  readonly field: string;
  readonly description: string;
}

export interface BusErrorInit {
  readonly code: CodeName;
  /** Empty: told by the transport, not by the bus. A newer server may have reasons that this client does not know. */
  readonly reason?: Reason | (string & {});
  readonly message: string;
  readonly retry?: Retry | undefined;
  readonly retryDelayMs?: number | undefined;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly violations?: readonly FieldViolation[];
  readonly cause?: unknown;
}

/** A failure that the bus, or the way to it, reported. Branch on `reason`, or on `retry`; never on the text. */
export class BusError extends Error {
  override readonly name = "BusError";
  /** The gRPC status code, by name. */
  readonly code: CodeName;
  /** One of REASONS; empty when the transport failed before the bus could say anything. */
  readonly reason: Reason | "" | (string & {});
  /** Whether the same call can succeed later. */
  readonly retry: Retry;
  /** How long to wait before a retry, in milliseconds, when the bus said so. */
  readonly retryDelayMs: number | undefined;
  /** Which message of the batch was wrong, from 0. */
  readonly index: number | undefined;
  readonly metadata: Readonly<Record<string, string>>;
  readonly violations: readonly FieldViolation[];

  constructor(init: BusErrorInit) {
    super(init.message, init.cause === undefined ? undefined : { cause: init.cause });
    this.code = init.code;
    this.reason = init.reason ?? "";
    this.metadata = init.metadata ?? {};
    this.retry = init.retry ?? retryOf(this.code, this.reason, this.metadata);
    this.retryDelayMs = init.retryDelayMs;
    const index = Number(this.metadata["index"]);
    this.index = this.metadata["index"] !== undefined && Number.isSafeInteger(index) ? index : undefined;
    this.violations = init.violations ?? [];
  }

  /** Turns whatever a generated client threw into a BusError. */
  static from(error: unknown): BusError {
    return error instanceof BusError ? error : fromConnectError(ConnectError.from(error));
  }
}

/** Thrown by operations of a bus, agent or subscription that was closed. What was on its way may or may not have arrived. */
export class ClosedError extends Error {
  override readonly name = "ClosedError";
}

/** Why the bus finished a subscription for good. */
export type EndReason = "TAKEN_OVER" | "CHANNEL_DELETED" | "AGENT_GONE";

/** Thrown by the iterator of a subscription that the bus finished; it must not be opened again by itself. */
export class SubscriptionEnded extends Error {
  override readonly name = "SubscriptionEnded";
  /**
   * TAKEN_OVER: a newer stream has the same `exclusive` name. CHANNEL_DELETED: a channel it named is gone. AGENT_GONE:
   * the agent was disconnected or deleted. A newer server may have more.
   */
  readonly reason: EndReason | (string & {});
  /** For CHANNEL_DELETED: "room:channel". */
  readonly channel: string | undefined;

  constructor(reason: string, message: string, channel: string | undefined) {
    super(message === "" ? `the subscription ended: ${reason}` : `the subscription ended: ${reason}: ${message}`);
    this.reason = reason;
    this.channel = channel;
  }
}

export function isBusError(error: unknown, reason?: Reason): error is BusError {
  return error instanceof BusError && (reason === undefined || error.reason === reason);
}

/** Decodes the failure of one item within a stream that goes on. */
export function fromItemError(error: ItemError): BusError {
  return new BusError({
    code: codeName(error.code),
    reason: error.reason,
    message: error.message,
    retryDelayMs: error.retryDelay && durationMs(error.retryDelay),
    metadata: error.metadata,
    violations: error.fieldViolations.map(({ field, description }) => ({ field, description })),
  });
}

function fromConnectError(error: ConnectError): BusError {
  const info = error.findDetails(ErrorInfoSchema).find((detail) => detail.domain === "agentbus");
  const delay = error.findDetails(RetryInfoSchema)[0]?.retryDelay;
  const violations = error.findDetails(BadRequestSchema).flatMap((detail) => detail.fieldViolations);
  return new BusError({
    code: codeName(error.code),
    reason: info?.reason ?? "",
    message: info === undefined ? withCause(error) : error.rawMessage,
    retryDelayMs: delay && durationMs(delay),
    metadata: info?.metadata ?? {},
    violations: violations.map(({ field, description }) => ({ field, description })),
    cause: error,
  });
}

/** fetch says "fetch failed" and hides what failed in the cause of the cause. */
function withCause({ rawMessage, cause }: ConnectError): string {
  const root = cause instanceof Error ? cause.cause : undefined;
  return root instanceof Error && root.message !== "" ? `${rawMessage}: ${root.message}` : rawMessage;
}

function codeName(code: number): CodeName {
  const found = Object.entries(CODES).find(([, number]) => number === code);
  return (found?.[0] as CodeName | undefined) ?? "UNKNOWN";
}

// Without a reason the failure comes from the transport or from something between: a cut connection shows as any of
// these codes, depending on the protocol and on the moment.
const TRANSPORT_CODES: ReadonlySet<CodeName> = new Set([
  "UNAVAILABLE",
  "UNKNOWN",
  "INTERNAL",
  "ABORTED",
  "CANCELLED",
  "DEADLINE_EXCEEDED",
  "RESOURCE_EXHAUSTED",
]);

function retryOf(code: CodeName, reason: string, metadata: Readonly<Record<string, string>>): Retry {
  // The server's word first: it knows reasons that this client does not.
  const told = metadata["retry"];
  if (told === "SAME" || told === "RECONNECT" || told === "NEVER") return told;
  if (isReason(reason)) return REASONS[reason].retry;
  if (reason === "") return TRANSPORT_CODES.has(code) ? "RECONNECT" : "NEVER";
  return code === "UNAVAILABLE" || code === "ABORTED" ? "SAME" : "NEVER";
}

/** A part of an answer that the contract promises. */
export function present<T>(value: T | undefined, call: string): T {
  if (value !== undefined) return value;
  throw new BusError({
    code: "INTERNAL",
    message: `the bus answered ${call} without what was asked for`,
    retry: "NEVER",
  });
}
