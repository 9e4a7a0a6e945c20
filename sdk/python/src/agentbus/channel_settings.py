"""How channels behave, as a program says it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, TypedDict

from .envelope import enum_value, make_recipients, refuse_unknown
from .options import Seconds, To
from .time_values import to_duration
from .v1 import room_pb2

Strategy = Literal["broadcast", "subgroup", "individual", "capability", "round_robin", "custom"]


class Routing(TypedDict, total=False):
    """Who reads what is published when the sender names nobody."""

    strategy: Strategy
    """Default: "broadcast"."""
    allow_sender_recipients: bool
    """Whether a sender's own `to` is obeyed. Default: True."""
    recipients: To
    """For "subgroup" and "individual": whom."""
    capabilities: Sequence[str]
    """For "capability": the names; a reader needs all of them. Default: the message's `name`."""
    limit: int
    """For "capability": how many of those that fit, in turn. Default: all. 1 to 1,000."""
    custom: str
    """For "custom": the name under which the server's program registered it."""


class Retention(TypedDict, total=False):
    """How much is kept; what goes beyond is trimmed, oldest first."""

    max_age: Seconds
    """1 s to 3,650 days. Default: 7 days."""
    max_messages: int
    """Default: 1,000,000."""
    max_bytes: int
    """Default: 1 GiB."""


class ChannelSettings(TypedDict, total=False):
    """How a channel behaves. What is left out is as the room says, then as the server is configured."""

    routing: Routing
    retention: Retention
    durability: Literal["volatile", "stored", "synced"]
    """What a publish waits for, at least. Default: "stored" where the storage is durable, else "volatile"."""
    max_members: int
    """How many agents may join. Default: 10,000."""
    dedup_window: Seconds
    """How long an idempotency key is remembered. 1 s to 10 min. Default: 2 min."""


class ChannelInit(ChannelSettings, total=False):
    """A channel, but for its name."""

    description: str
    metadata: Mapping[str, str]


class RoomSettings(ChannelSettings, total=False):
    """What a room is. The channel settings hold for its channels unless they say otherwise."""

    description: str
    metadata: Mapping[str, str]
    auto_create_channels: bool
    """Whether a channel that is used but does not exist is created. Default: as the server is configured."""


SETTINGS: Sequence[str] = tuple(ChannelSettings.__annotations__)


def make_settings(given: ChannelSettings) -> room_pb2.ChannelConfig:
    """Settings for the wire. Raises TypeError for a part that there is not."""
    refuse_unknown("settings", given, SETTINGS)
    config = room_pb2.ChannelConfig(max_members=given.get("max_members", 0))
    if (routing := given.get("routing")) is not None:
        config.routing.CopyFrom(_make_routing(routing))
    if (retention := given.get("retention")) is not None:
        refuse_unknown("retention", retention, Retention.__optional_keys__)
        config.retention.max_messages = retention.get("max_messages", 0)
        config.retention.max_bytes = retention.get("max_bytes", 0)
        if "max_age" in retention:
            config.retention.max_age_duration.CopyFrom(to_duration(retention["max_age"]))
    if (durability := given.get("durability")) is not None:
        config.durability = enum_value("durability", durability, room_pb2.Durability, "DURABILITY_")
    if (dedup_window := given.get("dedup_window")) is not None:
        config.dedup_window.CopyFrom(to_duration(dedup_window))
    return config


def _make_routing(given: Routing) -> room_pb2.Routing:
    refuse_unknown("routing", given, Routing.__optional_keys__)
    routing = room_pb2.Routing(
        capabilities=given.get("capabilities", ()), limit=given.get("limit", 0), custom=given.get("custom", "")
    )
    if (strategy := given.get("strategy")) is not None:
        routing.strategy = enum_value("strategy", strategy, room_pb2.RoutingStrategy, "ROUTING_STRATEGY_")
    if (allow := given.get("allow_sender_recipients")) is not None:
        routing.allow_sender_recipients = allow
    if (recipients := given.get("recipients")) is not None:
        routing.recipients.CopyFrom(make_recipients(recipients))
    return routing
