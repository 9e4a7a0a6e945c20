"""Pages of history."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from .events import Gap, read_gap
from .message import Message
from .v1 import bus_service_pb2, message_pb2

M = TypeVar("M")


@dataclass(frozen=True)
class PageOf(Generic[M]):
    """A piece of history."""

    messages: Sequence[M]
    """In the order asked for."""
    position: str
    """What to ask for next: `fetch(channel, start={"position": page.position})`."""
    caught_up: bool
    """Nothing more is there now in this direction."""
    gaps: Sequence[Gap]
    """What cannot be delivered."""


Page = PageOf[Message]


def read_page(response: bus_service_pb2.FetchResponse, wrap: Callable[[message_pb2.Message], M]) -> PageOf[M]:
    """Translates a response."""
    return PageOf(
        messages=[wrap(message) for message in response.messages],
        position=response.position,
        caught_up=response.caught_up,
        gaps=[read_gap(gap) for gap in response.gaps],
    )
