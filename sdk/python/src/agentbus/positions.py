"""Where a reader keeps how far it read."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Sequence
from typing import Protocol


class PositionStore(Protocol):
    """Keeps positions under a name. Each method may be asynchronous or not."""

    def load(self, name: str) -> Sequence[str] | Awaitable[Sequence[str]]:
        """The positions that were saved last under this name; empty when there are none."""
        ...

    def save(self, name: str, positions: Sequence[str]) -> Awaitable[None] | None:
        """Replaces the positions of this name; it should do so in one step. Called when a response has been read and at
        most about once a second while one is being read, never twice at the same time for one subscription.
        """
        ...


class MemoryPositionStore:
    """Keeps positions as long as the program lives."""

    def __init__(self) -> None:
        self._positions: dict[str, Sequence[str]] = {}

    def load(self, name: str) -> Sequence[str]:
        """The positions saved last."""
        return self._positions.get(name, ())

    def save(self, name: str, positions: Sequence[str]) -> None:
        """Replaces them."""
        self._positions[name] = tuple(positions)


MAX_POSITIONS = 1_000
"""As many as one request may resume from."""


class Progress:
    """The newest position of each channel. Positions stay opaque but for the channel in front of the last "@"."""

    def __init__(self) -> None:
        self._by_channel: dict[str, str] = {}

    def advance(self, *positions: str) -> None:
        """Everything up to these has been read."""
        for position in positions:
            channel = position.rpartition("@")[0]
            # Taken out first, so that those that moved last stand last.
            self._by_channel.pop(channel, None)
            self._by_channel[channel] = position

    def keep_only(self, positions: Iterable[str]) -> None:
        """Forgets the channels that have no position here: they were deleted, or do not match any more."""
        channels = {position.rpartition("@")[0] for position in positions}
        self._by_channel = {channel: at for channel, at in self._by_channel.items() if channel in channels}

    def positions(self) -> list[str]:
        """One position a channel; of more than 1,000 those that moved last."""
        return list(self._by_channel.values())[-MAX_POSITIONS:]
