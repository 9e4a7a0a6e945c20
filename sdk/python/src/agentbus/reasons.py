"""The closed table of reasons: what each failure means for a client."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

Retry = Literal["SAME", "RECONNECT", "NEVER"]
"""What to do: send the SAME again (after the retry delay, if there is one), RECONNECT and send the same again, or
NEVER."""


class ReasonEntry(NamedTuple):
    """What one reason stands for."""

    code: str
    """The gRPC status code, by name."""
    retry: Retry


REASONS: Final[dict[str, ReasonEntry]] = {
    "MALFORMED_REQUEST": ReasonEntry("INVALID_ARGUMENT", "NEVER"),
    "INVALID_FIELD": ReasonEntry("INVALID_ARGUMENT", "NEVER"),
    "UNKNOWN_FIELD": ReasonEntry("INVALID_ARGUMENT", "NEVER"),
    "SERVER_FIELD": ReasonEntry("INVALID_ARGUMENT", "NEVER"),
    "UNSUPPORTED_VERSION": ReasonEntry("INVALID_ARGUMENT", "NEVER"),
    "BAD_NAME": ReasonEntry("INVALID_ARGUMENT", "NEVER"),
    "BAD_POSITION": ReasonEntry("INVALID_ARGUMENT", "NEVER"),
    "EMPTY_RECIPIENTS": ReasonEntry("INVALID_ARGUMENT", "NEVER"),
    "RECIPIENT_REQUIRED": ReasonEntry("INVALID_ARGUMENT", "NEVER"),
    "AGENT_ID_REQUIRED": ReasonEntry("INVALID_ARGUMENT", "NEVER"),
    "MESSAGE_TOO_LARGE": ReasonEntry("INVALID_ARGUMENT", "NEVER"),
    "REQUEST_TOO_LARGE": ReasonEntry("RESOURCE_EXHAUSTED", "NEVER"),
    "UNKNOWN_STRATEGY": ReasonEntry("INVALID_ARGUMENT", "NEVER"),
    "METHOD_NOT_FOUND": ReasonEntry("UNIMPLEMENTED", "NEVER"),
    "UNAUTHENTICATED": ReasonEntry("UNAUTHENTICATED", "NEVER"),
    "AGENT_NOT_ALLOWED": ReasonEntry("PERMISSION_DENIED", "NEVER"),
    "ADMIN_ONLY": ReasonEntry("PERMISSION_DENIED", "NEVER"),
    "RESERVED_NAME": ReasonEntry("PERMISSION_DENIED", "NEVER"),
    "INBOX_PRIVATE": ReasonEntry("PERMISSION_DENIED", "NEVER"),
    "RECIPIENTS_NOT_ALLOWED": ReasonEntry("PERMISSION_DENIED", "NEVER"),
    "ORIGIN_NOT_ALLOWED": ReasonEntry("PERMISSION_DENIED", "NEVER"),
    "ROOM_NOT_FOUND": ReasonEntry("NOT_FOUND", "NEVER"),
    "CHANNEL_NOT_FOUND": ReasonEntry("NOT_FOUND", "NEVER"),
    "AGENT_NOT_FOUND": ReasonEntry("NOT_FOUND", "NEVER"),
    "UNKNOWN_RECIPIENT": ReasonEntry("NOT_FOUND", "NEVER"),
    "MESSAGE_NOT_FOUND": ReasonEntry("NOT_FOUND", "NEVER"),
    "ROOM_EXISTS": ReasonEntry("ALREADY_EXISTS", "NEVER"),
    "CHANNEL_EXISTS": ReasonEntry("ALREADY_EXISTS", "NEVER"),
    "IDEMPOTENCY_CONFLICT": ReasonEntry("ALREADY_EXISTS", "NEVER"),
    "NO_CANDIDATE": ReasonEntry("FAILED_PRECONDITION", "NEVER"),
    "ROOM_NOT_EMPTY": ReasonEntry("FAILED_PRECONDITION", "NEVER"),
    "IMMUTABLE": ReasonEntry("FAILED_PRECONDITION", "NEVER"),
    "CHANNEL_DELETED": ReasonEntry("FAILED_PRECONDITION", "SAME"),
    "CONCURRENT_UPDATE": ReasonEntry("ABORTED", "SAME"),
    "RESEND_REQUIRED": ReasonEntry("ABORTED", "SAME"),
    "PROTOCOL_VIOLATIONS": ReasonEntry("ABORTED", "NEVER"),
    "GAP": ReasonEntry("OUT_OF_RANGE", "NEVER"),
    "CHANNEL_FULL": ReasonEntry("RESOURCE_EXHAUSTED", "NEVER"),
    "TOO_MANY": ReasonEntry("RESOURCE_EXHAUSTED", "NEVER"),
    "RATE_LIMITED": ReasonEntry("RESOURCE_EXHAUSTED", "SAME"),
    "HOP_LIMIT": ReasonEntry("RESOURCE_EXHAUSTED", "NEVER"),
    "STORAGE_FULL": ReasonEntry("RESOURCE_EXHAUSTED", "SAME"),
    "WATCHER_TOO_SLOW": ReasonEntry("RESOURCE_EXHAUSTED", "RECONNECT"),
    "STORAGE_UNAVAILABLE": ReasonEntry("UNAVAILABLE", "SAME"),
    "DRAINING": ReasonEntry("UNAVAILABLE", "RECONNECT"),
    "OVERLOADED": ReasonEntry("UNAVAILABLE", "SAME"),
    "DURABILITY_UNAVAILABLE": ReasonEntry("UNIMPLEMENTED", "NEVER"),
    "DEADLINE": ReasonEntry("DEADLINE_EXCEEDED", "SAME"),
    "CANCELLED": ReasonEntry("CANCELLED", "SAME"),
    "DATA_DAMAGED": ReasonEntry("DATA_LOSS", "NEVER"),
    "INTERNAL": ReasonEntry("INTERNAL", "NEVER"),
}
