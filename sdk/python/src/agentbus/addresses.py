"""The addresses of the bus, of which one is in use at a time, and what is known of the others."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Final

AVOID_SECONDS: Final = 5.0
"""So long an address that failed is the last choice; doubled with each failure in a row. Coming back to one that
swallows everything costs seconds, and keeping away from one that is well again costs nothing."""
MAX_AVOID_SECONDS: Final = 60.0


class _Address:
    __slots__ = ("avoided_until", "failures", "url")

    def __init__(self, url: str) -> None:
        self.url = url
        self.failures = 0
        self.avoided_until = -math.inf


class Addresses:
    """Which address to use."""

    def __init__(self, urls: Sequence[str], now: Callable[[], float] = time.monotonic) -> None:
        self._all = [_Address(url) for url in urls]
        self._now = now
        self._current = 0

    def __len__(self) -> int:
        return len(self._all)

    @property
    def url(self) -> str:
        """The one in use."""
        return self._all[self._current].url

    def failed(self, url: str) -> None:
        """Says that one failed or is leaving: another one is used, if one is better and nobody moved on already."""
        # Several streams on one connection notice its end; only the first of them moves on.
        if url != self.url:
            return
        now = self._now()
        failed = self._all[self._current]
        failed.avoided_until = now + min(AVOID_SECONDS * 2.0 ** min(failed.failures, 16), MAX_AVOID_SECONDS)
        failed.failures += 1
        # The next in turn that need not be avoided; when all are, the one whose time is over first.
        in_turn = [(self._current + 1 + step) % len(self._all) for step in range(len(self._all))]
        self._current = min(in_turn, key=lambda index: max(0.0, self._all[index].avoided_until - now))

    def worked(self, url: str) -> None:
        """Says that one answered."""
        if url == self.url:
            self._all[self._current].failures = 0
            self._all[self._current].avoided_until = -math.inf
