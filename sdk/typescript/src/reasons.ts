/** gRPC status codes, by name. */
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
 * What to do with a failure: send the SAME again (after the retry delay, if one is given), RECONNECT (open a new stream,
 * at best to another node, then send the same again) or NEVER (the same will fail again).
 */
export type Retry = "SAME" | "RECONNECT" | "NEVER";

/** The closed table of reasons that the bus gives for a failure; docs/errors.md explains each. */
export const REASONS = {
  MALFORMED_REQUEST: { code: "INVALID_ARGUMENT", retry: "NEVER" },
  INVALID_FIELD: { code: "INVALID_ARGUMENT", retry: "NEVER" },
  UNKNOWN_FIELD: { code: "INVALID_ARGUMENT", retry: "NEVER" },
  SERVER_FIELD: { code: "INVALID_ARGUMENT", retry: "NEVER" },
  UNSUPPORTED_VERSION: { code: "INVALID_ARGUMENT", retry: "NEVER" },
  BAD_NAME: { code: "INVALID_ARGUMENT", retry: "NEVER" },
  BAD_POSITION: { code: "INVALID_ARGUMENT", retry: "NEVER" },
  EMPTY_RECIPIENTS: { code: "INVALID_ARGUMENT", retry: "NEVER" },
  RECIPIENT_REQUIRED: { code: "INVALID_ARGUMENT", retry: "NEVER" },
  AGENT_ID_REQUIRED: { code: "INVALID_ARGUMENT", retry: "NEVER" },
  MESSAGE_TOO_LARGE: { code: "INVALID_ARGUMENT", retry: "NEVER" },
  REQUEST_TOO_LARGE: { code: "RESOURCE_EXHAUSTED", retry: "NEVER" },
  UNKNOWN_STRATEGY: { code: "INVALID_ARGUMENT", retry: "NEVER" },
  METHOD_NOT_FOUND: { code: "UNIMPLEMENTED", retry: "NEVER" },
  UNAUTHENTICATED: { code: "UNAUTHENTICATED", retry: "NEVER" },
  AGENT_NOT_ALLOWED: { code: "PERMISSION_DENIED", retry: "NEVER" },
  ADMIN_ONLY: { code: "PERMISSION_DENIED", retry: "NEVER" },
  RESERVED_NAME: { code: "PERMISSION_DENIED", retry: "NEVER" },
  INBOX_PRIVATE: { code: "PERMISSION_DENIED", retry: "NEVER" },
  RECIPIENTS_NOT_ALLOWED: { code: "PERMISSION_DENIED", retry: "NEVER" },
  ORIGIN_NOT_ALLOWED: { code: "PERMISSION_DENIED", retry: "NEVER" },
  ROOM_NOT_FOUND: { code: "NOT_FOUND", retry: "NEVER" },
  CHANNEL_NOT_FOUND: { code: "NOT_FOUND", retry: "NEVER" },
  AGENT_NOT_FOUND: { code: "NOT_FOUND", retry: "NEVER" },
  UNKNOWN_RECIPIENT: { code: "NOT_FOUND", retry: "NEVER" },
  MESSAGE_NOT_FOUND: { code: "NOT_FOUND", retry: "NEVER" },
  ROOM_EXISTS: { code: "ALREADY_EXISTS", retry: "NEVER" },
  CHANNEL_EXISTS: { code: "ALREADY_EXISTS", retry: "NEVER" },
  IDEMPOTENCY_CONFLICT: { code: "ALREADY_EXISTS", retry: "NEVER" },
  NO_CANDIDATE: { code: "FAILED_PRECONDITION", retry: "NEVER" },
  ROOM_NOT_EMPTY: { code: "FAILED_PRECONDITION", retry: "NEVER" },
  IMMUTABLE: { code: "FAILED_PRECONDITION", retry: "NEVER" },
  CHANNEL_DELETED: { code: "FAILED_PRECONDITION", retry: "SAME" },
  CONCURRENT_UPDATE: { code: "ABORTED", retry: "SAME" },
  RESEND_REQUIRED: { code: "ABORTED", retry: "SAME" },
  PROTOCOL_VIOLATIONS: { code: "ABORTED", retry: "NEVER" },
  GAP: { code: "OUT_OF_RANGE", retry: "NEVER" },
  CHANNEL_FULL: { code: "RESOURCE_EXHAUSTED", retry: "NEVER" },
  TOO_MANY: { code: "RESOURCE_EXHAUSTED", retry: "NEVER" },
  RATE_LIMITED: { code: "RESOURCE_EXHAUSTED", retry: "SAME" },
  HOP_LIMIT: { code: "RESOURCE_EXHAUSTED", retry: "NEVER" },
  STORAGE_FULL: { code: "RESOURCE_EXHAUSTED", retry: "SAME" },
  WATCHER_TOO_SLOW: { code: "RESOURCE_EXHAUSTED", retry: "RECONNECT" },
  STORAGE_UNAVAILABLE: { code: "UNAVAILABLE", retry: "SAME" },
  DRAINING: { code: "UNAVAILABLE", retry: "RECONNECT" },
  OVERLOADED: { code: "UNAVAILABLE", retry: "SAME" },
  DURABILITY_UNAVAILABLE: { code: "UNIMPLEMENTED", retry: "NEVER" },
  DEADLINE: { code: "DEADLINE_EXCEEDED", retry: "SAME" },
  CANCELLED: { code: "CANCELLED", retry: "SAME" },
  DATA_DAMAGED: { code: "DATA_LOSS", retry: "NEVER" },
  INTERNAL: { code: "INTERNAL", retry: "NEVER" },
} as const satisfies Record<string, { readonly code: CodeName; readonly retry: Retry }>;

export type Reason = keyof typeof REASONS;

export function isReason(text: string): text is Reason {
  return Object.hasOwn(REASONS, text);
}
