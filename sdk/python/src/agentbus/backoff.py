"""How long to wait between attempts."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, TypedDict

from .time_values import to_seconds

if TYPE_CHECKING:
    from .options import Seconds

INITIAL_SECONDS = 0.1
MAX_SECONDS = 5.0


class BackoffOptions(TypedDict, total=False):
    """The pauses between attempts. Every key is optional."""

    initial: Seconds
    """The first pause. Default: 0.1 s; 1 ms to 60 s."""
    max: Seconds
    """No pause is longer. Default: 5 s, or `initial` if that is more; `initial` to 1 h."""
    factor: float
    """Each pause is so many times the one before. Default: 2; 1 to 10."""


class BackoffLimits(NamedTuple):
    """The options, with their defaults, in seconds."""

    initial: float
    max: float
    factor: float


def resolve_backoff(options: BackoffOptions) -> BackoffLimits:
    """Raises ValueError."""
    initial = to_seconds(options.get("initial", INITIAL_SECONDS))
    if not 0.001 <= initial <= 60:
        raise ValueError(f"backoff initial {initial:g} s is not 0.001 to 60 s")
    longest = to_seconds(options.get("max", max(MAX_SECONDS, initial)))
    if not initial <= longest <= 3_600:
        raise ValueError(f"backoff max {longest:g} s is not initial ({initial:g} s) to 3600 s")
    factor = options.get("factor", 2.0)
    if not 1 <= factor <= 10:
        raise ValueError(f"backoff factor {factor!r} is not 1 to 10")
    return BackoffLimits(initial, longest, factor)


class Backoff:
    """The pauses of one stream, or of one call: each times a random factor of 0.5 to 1.5, so that clients that were cut
    together do not come back together. They grow with each round of the addresses.
    """

    def __init__(
        self, limits: BackoffLimits, addresses: int = 1, uniform: Callable[[float, float], float] = random.uniform
    ) -> None:
        self._limits = limits
        self._addresses = addresses
        self._uniform = uniform
        self.attempts = 0
        """Pauses since something worked."""

    def next(self) -> float:
        """The next pause, in seconds."""
        initial, longest, factor = self._limits
        # The exponent is bounded: after days of failures the power would overflow.
        pause = min(longest, initial * factor ** min(self.attempts // self._addresses, 64))
        self.attempts += 1
        return min(longest, pause * self._uniform(0.5, 1.5))

    def reset(self) -> None:
        """Starts over: something worked."""
        self.attempts = 0
