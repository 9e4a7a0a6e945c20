"""The errors that this package raises on purpose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from .reasons import REASONS, Retry

EndReason = Literal["TAKEN_OVER", "CHANNEL_DELETED", "AGENT_GONE"]
"""Why the server finished a subscription for good."""

# What a status without a reason of ours means: it comes from a proxy, from gRPC itself or from a server that died.
_RETRY_BY_CODE: Mapping[str, Retry] = {
    "CANCELLED": "RECONNECT",
    "UNKNOWN": "RECONNECT",
    "DEADLINE_EXCEEDED": "SAME",
    "RESOURCE_EXHAUSTED": "SAME",
    "ABORTED": "SAME",
    "INTERNAL": "RECONNECT",
    "UNAVAILABLE": "RECONNECT",
}


class FieldViolation(NamedTuple):
    """One field that breaks its rule."""

    field: str
    """The path of the field, for example "messages[2].metadata"."""
    description: str
    """What is wrong with it."""


class BusError(Exception):
    """A failure that the bus told, or that the client met on the way to it."""

    code: str
    """The gRPC status code by name, for example "NOT_FOUND"."""
    reason: str
    """One of REASONS, for example "UNKNOWN_RECIPIENT". Empty: who failed gave none (a proxy, a lost connection)."""
    message: str
    """What was wrong, where, and what to do, for a person."""
    retry: Retry
    """What to do: SAME, RECONNECT or NEVER."""
    retry_delay: float | None
    """How long to wait before a retry, in seconds. None: the server named no time."""
    index: int | None
    """Which message of a batch was wrong, from 0. None: not told of one message."""
    metadata: Mapping[str, str]
    """More about it, for people."""
    violations: Sequence[FieldViolation]
    """The fields that break a rule; empty when it is about something else."""

    def __init__(
        self,
        message: str,
        *,
        reason: str = "",
        code: str | None = None,
        retry: Retry | None = None,
        retry_delay: float | None = None,
        index: int | None = None,
        metadata: Mapping[str, str] | None = None,
        violations: Sequence[FieldViolation] = (),
    ) -> None:
        entry = REASONS.get(reason)
        self.reason = reason
        self.message = message
        self.code = code or (entry.code if entry else "UNKNOWN")
        self.retry = retry or (entry.retry if entry else _retry_of(self.code, reason))
        self.retry_delay = retry_delay
        self.index = index
        self.metadata = dict(metadata or {})
        self.violations = tuple(violations)
        super().__init__(message)

    def __str__(self) -> str:
        return f"{self.code}{f' / {self.reason}' if self.reason else ''}: {self.message}"


class SubscriptionEnded(Exception):  # noqa: N818 - the same word as in the TypeScript SDK
    """The bus finished a subscription for good; it is not opened again by itself."""

    reason: EndReason | str
    """TAKEN_OVER: a newer stream has the same `exclusive` name. CHANNEL_DELETED: `channel` is gone. AGENT_GONE: the
    agent was disconnected or deleted. A newer server may have more."""
    channel: str
    """For CHANNEL_DELETED the channel, "room:channel"; else empty."""

    def __init__(self, reason: EndReason | str, message: str, channel: str = "") -> None:
        super().__init__(f"the subscription ended: {reason}{f': {message}' if message else ''}")
        self.reason = reason
        self.channel = channel


class ClosedError(Exception):
    """The bus, agent or subscription was closed by this program. What was on its way may or may not have arrived."""

    def __init__(self, what: str) -> None:
        super().__init__(f"the {what} is closed")


def deadline_error(message: str) -> BusError:
    """What a deadline of the client's own is told as."""
    return BusError(message, reason="DEADLINE")


def _retry_of(code: str, reason: str) -> Retry:
    # A reason that this version does not know came from a newer server on purpose: do not hammer it.
    return "NEVER" if reason else _RETRY_BY_CODE.get(code, "NEVER")
