"""Bounds what is outstanding, by count and by bytes."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

from .errors import BusError

MAX_WAITING_COUNT: Final = 100_000
MAX_WAITING_BYTES: Final = 67_108_864


class Budget:
    """Admits in the order of asking; who does not fit waits, and so does everyone behind. The waiting are bounded
    too.
    """

    def __init__(self, max_count: int, max_bytes: int) -> None:
        self._max_count = max_count
        self._max_bytes = max_bytes
        self._count = 0
        self._bytes = 0
        self._waiting_bytes = 0
        self._waiting: deque[tuple[asyncio.Future[None], int]] = deque()

    def try_acquire(self, size: int) -> bool:
        """Takes room for one item of this many bytes, if there is any and nobody waits for it."""
        if self._waiting or not self._fits(size):
            return False
        self._take(size)
        return True

    async def acquire(self, size: int) -> None:
        """Waits for room for one item of this many bytes. What is larger than the whole budget is admitted alone."""
        if self.try_acquire(size):
            return
        if len(self._waiting) >= MAX_WAITING_COUNT or self._waiting_bytes + size > MAX_WAITING_BYTES:
            raise BusError("too much waits to be sent: await what was sent before, or send less", reason="OVERLOADED")
        admitted = asyncio.get_running_loop().create_future()
        self._waiting.append((admitted, size))
        self._waiting_bytes += size
        try:
            await admitted
        except asyncio.CancelledError:
            if admitted.done() and not admitted.cancelled():
                self.release(size)
            else:
                self._admit()
            raise
        finally:
            self._waiting_bytes -= size

    def release(self, size: int) -> None:
        """Gives the room of one item back."""
        self._count -= 1
        self._bytes -= size
        self._admit()

    def _fits(self, size: int) -> bool:
        return self._count == 0 or (self._count < self._max_count and self._bytes + size <= self._max_bytes)

    def _take(self, size: int) -> None:
        self._count += 1
        self._bytes += size

    def _admit(self) -> None:
        while self._waiting:
            admitted, size = self._waiting[0]
            if admitted.cancelled():
                self._waiting.popleft()
            elif self._fits(size):
                self._waiting.popleft()
                self._take(size)
                admitted.set_result(None)
            else:
                return
