"""What one gets for a message that is stored."""

from __future__ import annotations

from dataclasses import dataclass

from .envelope import durability_word
from .v1 import bus_service_pb2, room_pb2


@dataclass(frozen=True)
class Audience:
    """Who may read a message, as it was fixed when it was published."""

    count: int
    """How many agents."""
    agents: tuple[str, ...]
    """The first 100 of them."""


@dataclass(frozen=True)
class Receipt:
    """A message is stored."""

    id: str
    """The message's id."""
    position: str
    """Where it stands: "room:channel@epoch.sequence"."""
    duplicate: bool
    """It was stored before, under the same idempotency key; `position` is the first one's."""
    audience: Audience | None
    """Who may read it; None: everyone who reads the channel."""
    durability: str
    """What was reached: "volatile", "stored" or "synced"."""


def read_receipt(result: bus_service_pb2.PublishResult, durability: room_pb2.Durability) -> Receipt:
    """Translates a result."""
    audience = Audience(result.audience.count, tuple(result.audience.agents)) if result.HasField("audience") else None
    return Receipt(result.id, result.position, result.duplicate, audience, durability_word(durability))
