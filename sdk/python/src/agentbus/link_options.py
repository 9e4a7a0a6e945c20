"""How a client notices that the bus does not answer, and how long it goes on trying."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypedDict

from .backoff import BackoffLimits, BackoffOptions, resolve_backoff
from .time_values import to_seconds

if TYPE_CHECKING:
    from .options import Seconds


class LinkOptions(TypedDict, total=False):
    """Every key is optional."""

    call_timeout: Seconds
    """How long a call may take with all its attempts. Default: 30 s; 1 ms to 24 days."""
    attempt_timeout: Seconds
    """With several addresses: how long one attempt of a call may take, and one answer to a publish, before the next
    address is tried. An attempt of a call takes at most half of the call's time, so that the next one gets a turn;
    answers to publishes are given twice as long after each failure in a row, up to `call_timeout`. Default: 5 s; 1 ms
    to 24 days."""
    ping_interval: Seconds
    """While something is open to a server and nothing comes from it for so long, it is asked for a sign of life (an
    HTTP/2 PING). Default: 2 s; 0.1 s to 1 h."""
    ping_timeout: Seconds
    """How long the sign of life may take, and opening a connection, before the connection is given up. A server that
    froze or vanished is noticed when both are over. Default: 3 s; 0.1 s to 60 s."""
    max_retries: int
    """How often a call is repeated when its failure says that this can help, as long as it has time. Streams and sends
    go on without end. Default: 3; 0 to 1,000."""
    backoff: BackoffOptions
    """The pauses between attempts. Default: 0.1 s, doubled up to 5 s, each times 0.5 to 1.5."""


class Link(NamedTuple):
    """The options, with their defaults; times in seconds."""

    call_timeout: float
    attempt_timeout: float
    ping_interval: float
    ping_timeout: float
    max_retries: int
    backoff: BackoffLimits


_MAX_SECONDS = 2_147_483.647


def resolve_link_options(options: LinkOptions) -> Link:
    """Raises ValueError."""
    max_retries = options.get("max_retries", 3)
    if not isinstance(max_retries, int) or not 0 <= max_retries <= 1_000:
        raise ValueError(f"max_retries {max_retries!r} is not a whole number from 0 to 1000")
    return Link(
        call_timeout=_seconds("call_timeout", options.get("call_timeout", 30.0), 0.001, _MAX_SECONDS),
        attempt_timeout=_seconds("attempt_timeout", options.get("attempt_timeout", 5.0), 0.001, _MAX_SECONDS),
        ping_interval=_seconds("ping_interval", options.get("ping_interval", 2.0), 0.1, 3_600.0),
        ping_timeout=_seconds("ping_timeout", options.get("ping_timeout", 3.0), 0.1, 60.0),
        max_retries=max_retries,
        backoff=resolve_backoff(options.get("backoff", {})),
    )


def _seconds(name: str, value: Seconds, least: float, most: float) -> float:
    seconds = to_seconds(value)
    if not least <= seconds <= most:
        raise ValueError(f"{name} of {seconds:g} s is not {least:g} to {most:g} s")
    return seconds
