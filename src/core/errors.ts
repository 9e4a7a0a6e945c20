/** gRPC status codes, by name, as far as the bus uses them. */
export const CODES = {
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
} as const;

export type CodeName = keyof typeof CODES;

/**
 * What a client does with a failure: send the SAME again (after the retry delay, if one is given), RECONNECT (open a new
 * stream, at best to another node, then send the same again) or NEVER (the same will fail again).
 */
export type Retry = "SAME" | "RECONNECT" | "NEVER";

export interface ReasonEntry {
  readonly code: CodeName;
  readonly retry: Retry;
  /** What happened and what to do, for docs/errors.md. */
  readonly text: string;
}

/** The closed table of reasons. docs/errors.md and both SDKs are compared with it by a test. */
export const REASONS = {
  // The request itself
  MALFORMED_REQUEST: {
    code: "INVALID_ARGUMENT",
    retry: "NEVER",
    text: "The bytes are not the protobuf or JSON that this call takes. JSON with an unknown key is one case: check its spelling.",
  },
  INVALID_FIELD: {
    code: "INVALID_ARGUMENT",
    retry: "NEVER",
    text: "A field breaks its rule; the violations name field and rule.",
  },
  UNKNOWN_FIELD: {
    code: "INVALID_ARGUMENT",
    retry: "NEVER",
    text: "`to` has a field that this server does not know; ignoring it could widen who reads the message.",
  },
  SERVER_FIELD: {
    code: "INVALID_ARGUMENT",
    retry: "NEVER",
    text: "The request sets a field that only the server sets. Leave it unset.",
  },
  UNSUPPORTED_VERSION: {
    code: "INVALID_ARGUMENT",
    retry: "NEVER",
    text: "The message's version has another major number than 1.",
  },
  BAD_NAME: {
    code: "INVALID_ARGUMENT",
    retry: "NEVER",
    text: "A room, channel, agent or pattern is not named as names are.",
  },
  BAD_POSITION: {
    code: "INVALID_ARGUMENT",
    retry: "NEVER",
    text: "A position is not of the form room:channel@epoch.sequence.",
  },
  EMPTY_RECIPIENTS: {
    code: "INVALID_ARGUMENT",
    retry: "NEVER",
    text: "`to` is set but names nobody. Leave it unset to let the channel's routing decide.",
  },
  RECIPIENT_REQUIRED: {
    code: "INVALID_ARGUMENT",
    retry: "NEVER",
    text: "The channel wants exactly one agent in `to`; so does a message without room and channel.",
  },
  AGENT_ID_REQUIRED: {
    code: "INVALID_ARGUMENT",
    retry: "NEVER",
    text: "`agent_id` is empty and there is no token that could say who acts.",
  },
  MESSAGE_TOO_LARGE: {
    code: "INVALID_ARGUMENT",
    retry: "NEVER",
    text: "One message is larger than limits.messageBytes. Put the payload elsewhere and send a reference.",
  },
  REQUEST_TOO_LARGE: {
    code: "RESOURCE_EXHAUSTED",
    retry: "NEVER",
    text: "The request is larger than limits.requestBytes. Split it.",
  },
  UNKNOWN_STRATEGY: {
    code: "INVALID_ARGUMENT",
    retry: "NEVER",
    text: "No custom routing strategy is registered under this name on this server.",
  },
  METHOD_NOT_FOUND: { code: "UNIMPLEMENTED", retry: "NEVER", text: "This server has no such method." },
  // Who
  UNAUTHENTICATED: {
    code: "UNAUTHENTICATED",
    retry: "NEVER",
    text: "No API key, or one that this server does not know.",
  },
  AGENT_NOT_ALLOWED: { code: "PERMISSION_DENIED", retry: "NEVER", text: "The API key may not act for this agent." },
  ADMIN_ONLY: { code: "PERMISSION_DENIED", retry: "NEVER", text: "The call wants an API key with admin." },
  RESERVED_NAME: {
    code: "PERMISSION_DENIED",
    retry: "NEVER",
    text: "Names with a leading `_` belong to the bus. To write to an inbox, name the agent in `to` and leave room and channel empty.",
  },
  INBOX_PRIVATE: { code: "PERMISSION_DENIED", retry: "NEVER", text: "An inbox is read by its agent alone." },
  RECIPIENTS_NOT_ALLOWED: {
    code: "PERMISSION_DENIED",
    retry: "NEVER",
    text: "The channel's routing decides alone who reads: leave `to` unset.",
  },
  ORIGIN_NOT_ALLOWED: {
    code: "PERMISSION_DENIED",
    retry: "NEVER",
    text: "The Host or Origin header is not one that this server serves. Configure server.allowedHosts or server.allowedOrigins.",
  },
  // What is not there, or is there already
  ROOM_NOT_FOUND: { code: "NOT_FOUND", retry: "NEVER", text: "No such room, and it is not created on demand." },
  CHANNEL_NOT_FOUND: { code: "NOT_FOUND", retry: "NEVER", text: "No such channel, and it is not created on demand." },
  AGENT_NOT_FOUND: { code: "NOT_FOUND", retry: "NEVER", text: "No such agent. Register it." },
  UNKNOWN_RECIPIENT: {
    code: "NOT_FOUND",
    retry: "NEVER",
    text: "An agent or group in `to` does not exist. Nothing was stored.",
  },
  MESSAGE_NOT_FOUND: { code: "NOT_FOUND", retry: "NEVER", text: "No such message, or not for this agent." },
  ROOM_EXISTS: {
    code: "ALREADY_EXISTS",
    retry: "NEVER",
    text: "The room is there with another configuration. Update it instead.",
  },
  CHANNEL_EXISTS: {
    code: "ALREADY_EXISTS",
    retry: "NEVER",
    text: "The channel is there with another configuration. Update it instead.",
  },
  IDEMPOTENCY_CONFLICT: {
    code: "ALREADY_EXISTS",
    retry: "NEVER",
    text: "The idempotency key (or the id) was used for other content. Nothing was stored.",
  },
  // The state of things
  NO_CANDIDATE: {
    code: "FAILED_PRECONDITION",
    retry: "NEVER",
    text: "Routing found nobody: no agent fits, or none is online. Nothing was stored.",
  },
  ROOM_NOT_EMPTY: {
    code: "FAILED_PRECONDITION",
    retry: "NEVER",
    text: "The room has channels. Delete them, or use force.",
  },
  IMMUTABLE: { code: "FAILED_PRECONDITION", retry: "NEVER", text: "This cannot change after creation." },
  CHANNEL_DELETED: {
    code: "FAILED_PRECONDITION",
    retry: "SAME",
    text: "The channel was deleted while the call ran. Nothing was stored.",
  },
  CONCURRENT_UPDATE: {
    code: "ABORTED",
    retry: "SAME",
    text: "Somebody else changed it at the same time, several times over.",
  },
  RESEND_REQUIRED: {
    code: "ABORTED",
    retry: "SAME",
    text: "An earlier request of this stream was refused: send that one again first, then this one.",
  },
  PROTOCOL_VIOLATIONS: { code: "ABORTED", retry: "NEVER", text: "Too many malformed frames on one stream." },
  GAP: {
    code: "OUT_OF_RANGE",
    retry: "NEVER",
    text: "Messages cannot be replayed and on_gap is FAIL. Subscribe with TELL, or from another start.",
  },
  // Limits
  CHANNEL_FULL: { code: "RESOURCE_EXHAUSTED", retry: "NEVER", text: "The channel has max_members members." },
  TOO_MANY: {
    code: "RESOURCE_EXHAUSTED",
    retry: "NEVER",
    text: "A limit on how many (agents, rooms, channels, streams, channels in one subscription) is reached; the message names it.",
  },
  RATE_LIMITED: {
    code: "RESOURCE_EXHAUSTED",
    retry: "SAME",
    text: "The sender publishes faster than its rate. Wait for the retry delay.",
  },
  HOP_LIMIT: {
    code: "RESOURCE_EXHAUSTED",
    retry: "NEVER",
    text: "The message has too many causes in a row: a loop, most likely.",
  },
  STORAGE_FULL: { code: "RESOURCE_EXHAUSTED", retry: "SAME", text: "The storage is full. Nothing was stored." },
  WATCHER_TOO_SLOW: {
    code: "RESOURCE_EXHAUSTED",
    retry: "RECONNECT",
    text: "The watcher did not read for too long and missed changes. Open it again to read what is current.",
  },
  // The server
  STORAGE_UNAVAILABLE: {
    code: "UNAVAILABLE",
    retry: "SAME",
    text: "The storage does not answer. The outcome is unknown: send the same again with the same idempotency key.",
  },
  DRAINING: { code: "UNAVAILABLE", retry: "RECONNECT", text: "The node is leaving. Connect again." },
  OVERLOADED: { code: "UNAVAILABLE", retry: "SAME", text: "Too much is in flight. Wait for the retry delay." },
  DURABILITY_UNAVAILABLE: { code: "UNIMPLEMENTED", retry: "NEVER", text: "This storage cannot reach the durability." },
  DEADLINE: {
    code: "DEADLINE_EXCEEDED",
    retry: "SAME",
    text: "The call's deadline passed. The outcome is unknown: send the same again with the same idempotency key.",
  },
  CANCELLED: { code: "CANCELLED", retry: "SAME", text: "The caller left." },
  DATA_DAMAGED: { code: "DATA_LOSS", retry: "NEVER", text: "Stored bytes fail their checksum." },
  INTERNAL: { code: "INTERNAL", retry: "NEVER", text: "A bug in the server. Its log has more." },
} as const satisfies Record<string, ReasonEntry>;

export type Reason = keyof typeof REASONS;

export interface FieldViolation {
  /** Path of the field, for example "messages[2].metadata". */
  readonly field: string;
  readonly description: string;
}

export interface BusErrorDetails {
  readonly cause?: unknown;
  readonly retryDelayMs?: number;
  /** The message in the batch that was wrong, from 0. */
  readonly index?: number;
  readonly violations?: readonly FieldViolation[];
  readonly metadata?: Readonly<Record<string, string>>;
}

/** The one error that the bus throws on purpose. Nothing branches on its text. */
export class BusError extends Error {
  override readonly name = "BusError";
  readonly reason: Reason;
  readonly details: BusErrorDetails;

  constructor(reason: Reason, message: string, details: BusErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.reason = reason;
    this.details = details;
  }

  get code(): CodeName {
    return REASONS[this.reason].code;
  }

  get retry(): Retry {
    return REASONS[this.reason].retry;
  }

  /** The same error, told of one message of a batch. */
  at(index: number): BusError {
    if (this.details.index !== undefined) return this;
    const where = `messages[${index}]`;
    const violations = this.details.violations?.map((violation) => ({
      ...violation,
      field: `${where}.${violation.field}`,
    }));
    return new BusError(this.reason, `${where}: ${this.message}`, {
      ...this.details,
      index,
      ...(violations === undefined ? {} : { violations }),
    });
  }
}

export function isBusError(error: unknown, reason?: Reason): error is BusError {
  return error instanceof BusError && (reason === undefined || error.reason === reason);
}
