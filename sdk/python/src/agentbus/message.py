"""A message as one reads it."""

from __future__ import annotations

import json
import re
from collections.abc import Coroutine, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Generic, Literal, Protocol, TypeVar, cast

from .envelope import INBOX_ROOM, read_recipients, word
from .receipt import Receipt
from .time_values import from_timestamp
from .v1 import message_pb2

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .options import MessageTypeName, Recipients, SendOptions

# Also with parameters, and the "+json" family.
_JSON_TYPE = re.compile(r"application/([a-z0-9.-]+\+)?json\s*(;|$)", re.IGNORECASE)

Sent = TypeVar("Sent", covariant=True)


class Sender(Protocol[Sent]):
    """Who sends a reply: an Agent."""

    def send(self, content: object, **options: Unpack[SendOptions]) -> Sent:
        """Sends."""
        ...


class MessageBase(Generic[Sent]):
    """What an agent said, once, in one channel. `Sent` is what `reply` gives: an awaitable, or the receipt itself."""

    __slots__ = ("_agent", "raw")

    raw: message_pb2.Message
    """The message as it came."""

    def __init__(self, raw: message_pb2.Message, agent: Sender[Sent]) -> None:
        self.raw = raw
        self._agent = agent

    @property
    def text(self) -> str:
        """The payload as text; bytes are read as UTF-8. Empty when there is none."""
        return self.raw.data.decode(errors="replace") if self.raw.HasField("data") else self.raw.text

    @property
    def data(self) -> bytes:
        """The payload as bytes; text as UTF-8."""
        return self.raw.data if self.raw.HasField("data") else self.raw.text.encode()

    @property
    def content(self) -> Any:
        """What was sent: str, bytes, the value of JSON (by `content_type`), or None when there is no payload. Raises
        ValueError when it says that it is JSON and is not.
        """
        if self.raw.WhichOneof("payload") is None:
            return None
        if _JSON_TYPE.match(self.raw.content_type):
            return self.json()
        return self.raw.data if self.raw.HasField("data") else self.raw.text

    def json(self) -> Any:
        """The payload read as JSON, whatever its `content_type`. Raises ValueError."""
        try:
            return json.loads(self.data)
        except ValueError as error:
            kind = self.content_type
            raise ValueError(f"message {self.position} from {self.sender} is not JSON ({kind}): {error}") from error

    @property
    def id(self) -> str:
        """Names the message; need not be unique."""
        return self.raw.id

    @property
    def type(self) -> MessageTypeName | Literal["unknown"]:
        """One of "message", "event", "command", "result", "telemetry" or "system"; "unknown": a type of a newer bus."""
        return cast("MessageTypeName", word(message_pb2.MessageType, "MESSAGE_TYPE_", self.raw.type))

    @property
    def name(self) -> str:
        """The name of the event, command or result; empty: none."""
        return self.raw.name

    @property
    def sender(self) -> str:
        """The agent that the server vouches for."""
        return self.raw.sender

    @property
    def to(self) -> Recipients | None:
        """Whom the sender named; None: the channel's routing decided."""
        return read_recipients(self.raw.to) if self.raw.HasField("to") else None

    @property
    def room(self) -> str:
        """The room, "_inbox" for a message to one's inbox."""
        return self.raw.room

    @property
    def channel(self) -> str:
        """The channel in its room; for a message to an inbox the agent whose it is."""
        return self.raw.channel

    @property
    def address(self) -> str:
        """Where it stands: "room:channel", or "_inbox:agent"."""
        return f"{self.raw.room}:{self.raw.channel}"

    @property
    def direct(self) -> bool:
        """Whether it came by inbox."""
        return self.raw.room == INBOX_ROOM

    @property
    def position(self) -> str:
        """What to resume from to read what comes after it."""
        return f"{self.address}@{self.raw.epoch:08x}.{self.raw.sequence}"

    @property
    def sequence(self) -> int:
        """Its place in the channel: from 1, without holes."""
        return self.raw.sequence

    @property
    def epoch(self) -> int:
        """Which incarnation of the log it belongs to. Compare for equality only."""
        return self.raw.epoch

    @property
    def accepted_at(self) -> datetime:
        """When the store took it, in UTC. Never decreases within a channel."""
        return from_timestamp(self.raw.accept_time)

    @property
    def timestamp(self) -> datetime | None:
        """The sender's clock, in UTC, when the sender said it."""
        return from_timestamp(self.raw.timestamp) if self.raw.HasField("timestamp") else None

    @property
    def time_to_live(self) -> timedelta | None:
        """For how long it is shown; None: as long as the channel retains."""
        return self.raw.time_to_live.ToTimedelta() if self.raw.HasField("time_to_live") else None

    @property
    def content_type(self) -> str:
        """The media type; the default of the payload when the sender gave none, empty without a payload."""
        if self.raw.content_type or self.raw.WhichOneof("payload") is None:
            return self.raw.content_type
        return "text/plain" if self.raw.HasField("text") else "application/octet-stream"

    @property
    def metadata(self) -> Mapping[str, str]:
        """Free pairs of the sender."""
        return self.raw.metadata

    @property
    def priority(self) -> int:
        """0 to 9, the most urgent."""
        return self.raw.priority

    @property
    def correlation_id(self) -> str:
        """Names the conversation; empty: none."""
        return self.raw.correlation_id

    @property
    def causation(self) -> str:
        """The position of the message that made the sender say this one; empty: none."""
        return self.raw.causation

    @property
    def reply_to(self) -> str:
        """Where answers shall go; empty: the sender did not say."""
        return self.raw.reply_to

    @property
    def ordering_key(self) -> str:
        """Work of one key is done one after another when a queue hands it out; empty: none."""
        return self.raw.ordering_key

    @property
    def session_id(self) -> str:
        """The session it belongs to; empty: none."""
        return self.raw.session_id

    @property
    def schema(self) -> str:
        """Names the schema of the payload; empty: none."""
        return self.raw.schema

    @property
    def traceparent(self) -> str:
        """A W3C trace context; empty: none."""
        return self.raw.traceparent

    @property
    def hop_count(self) -> int:
        """How many messages led to it by `causation`; 0: none."""
        return self.raw.hop_count

    def reply(self, content: object, **options: Unpack[SendOptions]) -> Sent:
        """Answers it: to `reply_to` when the sender named one, to the sender's inbox when it came by inbox, else in the
        same channel, to the sender alone when the message was for chosen readers. The answer carries this message's
        position as its cause, so that the bus can stop loops, and repeats the correlation id (the message's id when it
        had none).
        """
        return self._agent.send(content, **reply_options(self.raw, options))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.position} from {self.sender}>"


def reply_options(message: message_pb2.Message, options: SendOptions) -> SendOptions:
    """Where a reply to this message goes, and what it says of it."""
    address = f"{message.room}:{message.channel}"
    direct = message.room == INBOX_ROOM
    reply: SendOptions = {
        "causation": f"{address}@{message.epoch:08x}.{message.sequence}",
        "correlation_id": message.correlation_id or message.id,
    }
    if message.type == message_pb2.MESSAGE_TYPE_COMMAND:
        reply["type"] = "result"
    reply_to_room, _, reply_to_name = message.reply_to.partition(":")
    if "channel" in options or "to" in options:
        # An inbox cannot be written to as a channel: with other readers chosen, the answer goes to their inboxes.
        if "channel" not in options and not direct:
            reply["channel"] = address
    elif reply_to_room == INBOX_ROOM:
        reply["to"] = reply_to_name
    elif message.reply_to:
        reply["channel"] = message.reply_to
    elif direct:
        reply["to"] = message.sender
    else:
        reply["channel"] = address
        if message.HasField("to"):
            reply["to"] = message.sender
    return cast("SendOptions", {**reply, **options})


class Message(MessageBase[Coroutine[Any, Any, Receipt]]):
    """What an agent said, once, in one channel. `await message.reply(...)` answers it."""

    __slots__ = ()
