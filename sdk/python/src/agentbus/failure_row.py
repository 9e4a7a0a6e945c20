"""When it is worth telling that something fails."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

MANY: Final = 4
LONG_SECONDS: Final = 1.0
"""So many failures, or a failure so long after the row began, are more than a restart: people should hear of it."""


class FailureRow:
    """Failures of the same thing, with no success between them."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._began: float | None = None
        self._told = False
        self.count = 0
        """How many there were."""

    def begin(self) -> None:
        """Says that what may fail begins now, unless it has begun. Without it, the first failure is the beginning."""
        if self._began is None:
            self._began = self._now()

    def add(self) -> bool:
        """One more. True once, when it is worth telling."""
        self.begin()
        self.count += 1
        if self._told or (self.count < MANY and self._now() - (self._began or 0.0) < LONG_SECONDS):
            return False
        self._told = True
        return True

    def clear(self) -> None:
        """Something worked."""
        self._began = None
        self._told = False
        self.count = 0
