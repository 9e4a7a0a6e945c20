"""What a subscription tells beside messages."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal, TypeAlias

from .envelope import word
from .time_values import from_timestamp
from .v1 import bus_service_pb2

if TYPE_CHECKING:
    from .errors import BusError
    from .message import Message


@dataclass(frozen=True)
class Opened:
    """A stream is open: the first one, or one after a cut."""

    node_id: str
    """The node that serves it."""
    agent_id: str
    """Who reads."""
    heartbeat_interval: float
    """How often the server says something at least, in seconds."""


@dataclass(frozen=True)
class CaughtUp:
    """Everything that was stored when the stream opened has been delivered."""


@dataclass(frozen=True)
class Gap:
    """Messages that this reader cannot get any more."""

    channel: str
    """Where they stood, "room:channel"."""
    first_sequence: int
    """The first that is missing, in the log that the reader knew."""
    last_sequence: int | None
    """The last that is missing; None: not known."""
    cause: Literal["retention", "new_epoch", "damaged"] | str
    """"retention": trimmed before it was read. "new_epoch": the log lost its end, or is another log than the reader
    knew. "damaged": stored bytes cannot be read."""


@dataclass(frozen=True)
class Heartbeat:
    """The stream lives; there was nothing to deliver."""

    server_time: datetime


@dataclass(frozen=True)
class Cut:
    """The stream was lost, or the node leaves; another one is opened from where this one was read to."""

    error: BusError
    """Why."""


Event: TypeAlias = "Opened | CaughtUp | Gap | Heartbeat | Cut"
SubscriptionEvent: TypeAlias = "Message | Event"


def read_gap(gap: bus_service_pb2.Gap) -> Gap:
    """Translates a gap."""
    cause = word(bus_service_pb2.GapCause, "GAP_CAUSE_", gap.cause)
    return Gap(f"{gap.room}:{gap.channel}", gap.first_sequence, gap.last_sequence or None, cause)


def read_events(response: bus_service_pb2.SubscribeResponse) -> list[Event]:
    """What a response says beside its messages, in the order in which it is told: all but `CaughtUp` before them."""
    events: list[Event] = []
    if response.HasField("opened"):
        opened = response.opened
        interval = opened.heartbeat_interval.ToTimedelta().total_seconds()
        events.append(Opened(opened.node_id, opened.agent_id, interval))
    elif response.HasField("server_time"):
        events.append(Heartbeat(from_timestamp(response.server_time)))
    events.extend(read_gap(gap) for gap in response.gaps)
    return events
