"""Makes the parts of requests from what a program says: content, recipients, filters, channels."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, cast

from .options import PROFILE_FIELDS, SendOptions
from .time_values import to_duration, to_timestamp
from .v1 import agent_pb2, bus_service_pb2, message_pb2, room_pb2

if TYPE_CHECKING:
    from .options import AgentKindName, Filter, Profile, Recipients, To

INBOX_ROOM = "_inbox"
JSON_TYPE = "application/json"

# Options whose names and types are those of the message's fields.
_PLAIN_FIELDS = (
    "id",
    "name",
    "priority",
    "idempotency_key",
    "ordering_key",
    "correlation_id",
    "causation",
    "reply_to",
    "traceparent",
    "session_id",
    "schema",
    "content_type",
)


def make_message(content: object, options: SendOptions) -> message_pb2.Message:
    """A message of this content: str as text, bytes-like as data, None as no payload, anything else as JSON. Raises
    TypeError or ValueError for what JSON cannot say (NaN is one such thing), and for an option that there is not.
    """
    # A misspelt `to` must not become a broadcast.
    refuse_unknown("send", options, SendOptions.__optional_keys__)
    message = message_pb2.Message()
    if isinstance(content, str):
        message.text = content
    elif isinstance(content, (bytes, bytearray, memoryview)):
        message.data = bytes(content)
    elif content is not None:
        message.text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        message.content_type = JSON_TYPE
    for field in _PLAIN_FIELDS:
        if (value := options.get(field)) is not None:
            setattr(message, field, value)
    if (kind := options.get("type")) is not None:
        message.type = type_value(kind)
    if (metadata := options.get("metadata")) is not None:
        message.metadata.update(metadata)
    if (to := options.get("to")) is not None:
        message.to.CopyFrom(make_recipients(to))
    if (time_to_live := options.get("time_to_live")) is not None:
        message.time_to_live.CopyFrom(to_duration(time_to_live))
    if (timestamp := options.get("timestamp")) is not None:
        message.timestamp.CopyFrom(to_timestamp(timestamp))
    return message


def make_recipients(to: To) -> message_pb2.Recipients:
    """Recipients of one id, several ids, or a mapping. What names nobody is left empty: the server refuses it."""
    if isinstance(to, str):
        return message_pb2.Recipients(agents=[to])
    if not isinstance(to, Mapping):
        return message_pb2.Recipients(agents=to)
    refuse_unknown("to", to, ("agents", "groups", "select"))
    recipients = message_pb2.Recipients(agents=to.get("agents", ()), groups=to.get("groups", ()))
    if (select := to.get("select")) is not None:
        refuse_unknown("to.select", select, ("kinds", "labels", "capabilities", "limit"))
        recipients.select.SetInParent()
        recipients.select.kinds.extend(kind_value(kind) for kind in select.get("kinds", ()))
        recipients.select.labels.update(select.get("labels", {}))
        recipients.select.capabilities.extend(select.get("capabilities", ()))
        recipients.select.limit = select.get("limit", 0)
    return recipients


def read_recipients(recipients: message_pb2.Recipients) -> Recipients:
    """The other way round; parts that are not set are left out."""
    read: Recipients = {}
    if recipients.agents:
        read["agents"] = list(recipients.agents)
    if recipients.groups:
        read["groups"] = list(recipients.groups)
    if recipients.HasField("select"):
        select = recipients.select
        read["select"] = {
            "kinds": [cast("AgentKindName", word(agent_pb2.AgentKind, "AGENT_KIND_", kind)) for kind in select.kinds],
            "labels": dict(select.labels),
            "capabilities": list(select.capabilities),
            "limit": select.limit,
        }
    return read


def make_filter(given: Filter) -> bus_service_pb2.Filter:
    """A filter. Raises TypeError for a key that there is not: ignoring it would let everything through."""
    refuse_unknown("filter", given, bus_service_pb2.Filter.DESCRIPTOR.fields_by_name)
    parts: dict[str, Any] = {key: value for key, value in given.items() if key != "types"}
    return bus_service_pb2.Filter(types=[type_value(type_) for type_ in given.get("types", ())], **parts)


def make_agent(agent_id: str, profile: Profile) -> agent_pb2.Agent:
    """An agent with this profile. Raises TypeError for a part that there is not."""
    refuse_unknown("profile", profile, PROFILE_FIELDS)
    parts: dict[str, Any] = {key: value for key, value in profile.items() if key not in ("kind", "capabilities")}
    agent = agent_pb2.Agent(agent_id=agent_id, **parts)
    if (kind := profile.get("kind")) is not None:
        agent.kind = kind_value(kind)
    for capability in profile.get("capabilities", ()):
        given: Mapping[str, Any] = {"name": capability} if isinstance(capability, str) else capability
        agent.capabilities.append(agent_pb2.Capability(**given))
    return agent


def type_value(type_: str) -> message_pb2.MessageType:
    """The value of one of "message", "event", "command", "result", "telemetry", "system"."""
    value: message_pb2.MessageType = enum_value("type", type_, message_pb2.MessageType, "MESSAGE_TYPE_")
    return value


def kind_value(kind: str) -> agent_pb2.AgentKind:
    """The value of one of "human", "ai_agent", "dashboard", "service"."""
    value: agent_pb2.AgentKind = enum_value("kind", kind, agent_pb2.AgentKind, "AGENT_KIND_")
    return value


def state_value(state: str) -> agent_pb2.AgentState:
    """The value of one of "online", "away", "offline", "draining"."""
    value: agent_pb2.AgentState = enum_value("state", state, agent_pb2.AgentState, "AGENT_STATE_")
    return value


def durability_word(durability: room_pb2.Durability) -> str:
    """One of "volatile", "stored" or "synced"."""
    return word(room_pb2.Durability, "DURABILITY_", durability)


def word(enum: Any, prefix: str, value: int) -> str:
    """The word for a value of an enum; "unknown" for none, and for one that this version does not know."""
    try:
        name: str = enum.Name(value)
    except ValueError:
        return "unknown"
    return name.removeprefix(prefix).lower() if value else "unknown"


def split_channel(channel: str) -> tuple[str, str]:
    """("science", "explore") of "science:explore". Raises ValueError."""
    room, colon, name = channel.partition(":")
    if not (room and colon and name):
        raise ValueError(f'channel {channel!r} must be written "room:channel"')
    return room, name


def enum_value(what: str, given: str, enum: Any, prefix: str) -> Any:
    """The value of a word. Raises ValueError for a word that there is not."""
    name = prefix + given.upper()
    words = [key for key in enum.keys() if not key.endswith("_UNSPECIFIED")]  # noqa: SIM118 - an enum is no dict
    if name not in words:
        known = ", ".join(key.removeprefix(prefix).lower() for key in words)
        raise ValueError(f"{what} {given!r} is none of {known}")
    return enum.Value(name)


def refuse_unknown(what: str, given: Mapping[str, Any], known: Collection[str]) -> None:
    """Raises TypeError when there is a key that is not known."""
    if unknown := [key for key in given if key not in known]:
        raise TypeError(f"{what} has no {unknown[0]!r}; it takes {', '.join(sorted(known))}")
