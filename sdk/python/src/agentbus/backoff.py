"""How long to wait between attempts."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

INITIAL_SECONDS: Final = 0.1
MAX_SECONDS: Final = 10.0
FACTOR: Final = 2.0


class Backoff:
    """0.1 s, doubling up to 10 s, each times a random factor of 0.5 to 1.5 so that clients do not come back
    together.
    """

    def __init__(self, uniform: Callable[[float, float], float] = random.uniform) -> None:
        self._uniform = uniform
        self._attempts = 0

    def next(self) -> float:
        """The next pause, in seconds."""
        # The exponent is bounded: after days of failures the power would overflow.
        pause = min(MAX_SECONDS, INITIAL_SECONDS * FACTOR ** min(self._attempts, 16))
        self._attempts += 1
        return pause * self._uniform(0.5, 1.5)

    def reset(self) -> None:
        """Starts over: something worked."""
        self._attempts = 0
