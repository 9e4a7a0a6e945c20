"""The options of the calls, shared by the asyncio face and the synchronous one. Every key is optional."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal, TypeAlias, TypedDict, final

if TYPE_CHECKING:
    from .errors import BusError
    from .events import Gap
    from .positions import PositionStore

Seconds: TypeAlias = "float | timedelta"
"""A time span: a number of seconds, or a timedelta."""
MessageTypeName: TypeAlias = Literal["message", "event", "command", "result", "telemetry", "system"]
AgentKindName: TypeAlias = Literal["human", "ai_agent", "dashboard", "service"]
AgentStateName: TypeAlias = Literal["online", "away", "offline", "draining"]


class Selection(TypedDict, total=False):
    """A description of agents. Everything that is given must hold; at least one part must be given."""

    kinds: Sequence[AgentKindName]
    """The agent is of one of these kinds."""
    labels: Mapping[str, str]
    """The agent has all of these labels with these values. At most 16."""
    capabilities: Sequence[str]
    """The agent has all of these capabilities. At most 16."""
    limit: int
    """At most so many of those that fit, in turn, those online first. Default: all. 1 to 1,000."""


class Recipients(TypedDict, total=False):
    """Who shall read a message: the union of the three."""

    agents: Sequence[str]
    """Agents by id. One that does not exist is NOT_FOUND / UNKNOWN_RECIPIENT, and nothing is stored."""
    groups: Sequence[str]
    """All agents that are in one of these groups at that moment."""
    select: Selection
    """All agents that fit a description at that moment. None fits: FAILED_PRECONDITION / NO_CANDIDATE."""


To: TypeAlias = "str | Sequence[str] | Recipients"
"""One agent, several agents, or more."""


class Filter(TypedDict, total=False):
    """Chooses messages: each part that is given must hold; of a list, any."""

    types: Sequence[MessageTypeName]
    names: Sequence[str]
    senders: Sequence[str]
    session_ids: Sequence[str]
    correlation_ids: Sequence[str]
    metadata: Mapping[str, str]
    """All of these keys with these values."""
    min_priority: int
    """0 to 9."""
    direct_only: bool
    """Only messages with an audience (private ones)."""


class AskOptions(TypedDict, total=False):
    """What one may say with a question; where answers go is set by `ask`."""

    channel: str
    """"room:channel". See SendOptions."""
    to: To
    """Who shall read it. Default: the channel's routing decides. Empty: refused by the bus."""
    content_type: str
    """The media type. Default: "text/plain" for str, "application/octet-stream" for bytes, else "application/json"."""
    type: MessageTypeName
    """Default: "message"; for a reply to a command "result"."""
    name: str
    """The name of the event, command or result. At most 128 bytes."""
    metadata: Mapping[str, str]
    """At most 64 pairs, 8 KiB in all."""
    priority: int
    """0 (default) to 9, the most urgent."""
    ordering_key: str
    time_to_live: Seconds
    """After this long nobody is shown the message. 1 ms to 366 days. Default: as long as the channel retains."""
    timestamp: datetime
    """The sender's clock. Default: unset; the server dates by `accept_time`."""
    traceparent: str
    session_id: str
    schema: str
    id: str
    """Default: a new UUID of version 7."""
    idempotency_key: str
    """The same key of the same sender in the same channel is stored once. Default: the id."""
    causation: str
    """The position of the message that made one say this. Default: none."""
    correlation_id: str
    """Names the conversation. Default: none; for a question a new UUID."""


class SendOptions(AskOptions, total=False):
    """What one may say with a message.

    Without `channel`: when `to` is one agent, that agent's inbox; without `to`, the only channel that was joined
    through this Agent.
    """

    reply_to: str
    """Where answers shall go, "room:channel" or "_inbox:agent". Default: not said."""
    timeout: Seconds | None
    """How long to try, over reconnects. Default: 60 s, well within the 2 minutes for which a channel remembers
    idempotency keys; None: without end. When it passes, BusError DEADLINE: whether it was stored is unknown."""


@final
class StartLast(TypedDict):
    """With the last so many messages of each channel that the agent may see. 1 to 1,000."""

    last: int


@final
class StartSince(TypedDict):
    """With the first message accepted at or after this."""

    since: datetime


@final
class StartResume(TypedDict):
    """After these positions. A matching channel without one starts with its first message."""

    resume: Sequence[str]


Start: TypeAlias = "Literal['new', 'earliest'] | StartLast | StartSince | StartResume"
"""Where to start reading: with what is published from now on, with the oldest retained message, or as said."""


@final
class StartPosition(TypedDict):
    """After this position; backward: before the message it names."""

    position: str


@final
class StartMessage(TypedDict):
    """After the message of this id; backward: before it."""

    message_id: str


@final
class StartTime(TypedDict):
    """With the first message accepted at or after this; backward: with the last one before it."""

    time: datetime


FetchStart: TypeAlias = StartPosition | StartMessage | StartTime


class SubscribeOptions(TypedDict, total=False):
    """What to read. No channels and no patterns: one's inbox and every channel one joined, also those joined later."""

    channels: Sequence[str]
    """"room:channel", or "_inbox:agent" for one's own inbox. At most 1,000."""
    patterns: Sequence[str]
    """"room:*", "science.*:general", "science.**:*", "**". At most 100."""
    start: Start
    """Default: "new"."""
    filter: Filter
    """Only messages that fit. Default: all."""
    echo: bool
    """Also one's own messages. Default: False."""
    observe: bool
    """Read without being present and without being a candidate for routing. Default: False."""
    exclusive: str
    """The stream is the only one of this agent and this name: an older one ends with TAKEN_OVER. Default: none."""
    on_gap: Literal["tell", "fail"] | Callable[[Gap], None]
    """When messages cannot be replayed: "tell" (default) goes on behind the gap and logs a warning, a function is
    called instead of the warning (it must not block), "fail" raises BusError GAP."""
    answers: bool
    """Also the answers that `ask` of this agent waits for. Default: False, so that a loop that replies to everything
    does not answer answers."""
    max_messages: int
    """At most so many in one response. Default: as many as fit 256 KiB. 1 to 10,000."""
    heartbeat_interval: Seconds
    """How often the server says something when there is nothing to deliver. 1 s to 5 min. Default: 15 s. After 2.5
    times as long without a word the stream counts as cut, and is opened again."""
    name: str
    """Keeps the positions under this name in the bus's position store: the next subscription of this name goes on where
    this one stopped, whatever `start` says. The store is given "<agent id>/<name>". Default: not kept."""
    positions: PositionStore
    """Where `name` is kept. Default: the `positions` of the bus, which is memory by default."""
    on_caught_up: Callable[[], None]
    """Called once, when everything that was stored when the stream first opened was read. It must not block."""
    on_cut: Callable[[BusError], None]
    """Called when the stream was cut, before it is opened again. It must not block."""


class FetchOptions(TypedDict, total=False):
    """Which part of the history to read. Without `start`: forward from the oldest message, backward from the newest."""

    start: FetchStart
    backward: bool
    """From new to old. Default: False."""
    filter: Filter
    """Only messages that fit. Default: all."""
    max_messages: int
    """At most so many at once. Default: 100. 1 to 1,000."""


class Profile(TypedDict, total=False):
    """What an agent tells of itself."""

    kind: AgentKindName
    """Default: "service"."""
    screen_name: str
    """At most 128 bytes. Default: the id."""
    avatar: str
    """A URL. At most 1,024 bytes."""
    personality: str
    description: str
    """What it is for, in words that another agent can choose by. At most 4 KiB."""
    groups: Sequence[str]
    labels: Mapping[str, str]
    capabilities: Sequence[str | Capability]
    """What it can do: names, or names with descriptions. At most 64."""
    metadata: Mapping[str, str]
    client_id: str


class _CapabilityName(TypedDict):
    name: str


class Capability(_CapabilityName, total=False):
    """One thing that an agent can do."""

    description: str
    """In words that an LLM can choose by. At most 4 KiB."""
    input_schema: str
    """The JSON Schema of what it takes. At most 16 KiB."""


PROFILE_FIELDS = tuple(Profile.__annotations__)
"""The parts of a profile, as UpdateAgent names them."""
