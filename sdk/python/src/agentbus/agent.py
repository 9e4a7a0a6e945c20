"""One agent's view of the bus."""

from __future__ import annotations

import asyncio
import math
import weakref
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, cast, overload

from .asking import Asker, Question
from .connection import Connection
from .envelope import INBOX_ROOM, make_agent, make_message, split_channel, state_value
from .errors import BusError, ClosedError, deadline_error
from .history import Page, read_page
from .ids import uuid7
from .message import Message
from .options import PROFILE_FIELDS, AskOptions, FetchOptions, Profile, SendOptions, SubscribeOptions
from .outbox import Outbox
from .publish_window import Lane
from .subscribe_request import fetch_request
from .subscription import Subscription, SubscriptionHost
from .time_values import to_duration, to_seconds
from .v1 import agent_pb2, agent_service_pb2, bus_service_pb2, message_pb2, room_pb2, room_service_pb2

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .options import AgentStateName, Seconds
    from .positions import PositionStore
    from .receipt import Receipt
REQUEST_BYTES: Final = 1_024
"""What a request has beside its messages, at most: ids, names and lengths."""


class AgentSettings(NamedTuple):
    """What an agent has from its bus."""

    send_timeout: float | None
    max_outstanding_messages: int
    max_outstanding_bytes: int
    max_request_bytes: int
    close_timeout: float
    positions: PositionStore
    forget: Callable[[Agent], None]


class Agent:
    """Speaks and listens as one agent. Made by `bus.agent(...)`; closing the bus closes it."""

    id: str
    """Whom it speaks for."""

    def __init__(self, agent_id: str, connection: Connection, settings: AgentSettings, profile: Profile) -> None:
        self.id = agent_id
        self._connection = connection
        self._settings = settings
        self._profile = make_agent(agent_id, profile) if profile else None
        self._registering = asyncio.Lock()
        self._outbox = Outbox(
            connection, agent_id, self._prepare, settings.max_outstanding_messages, settings.max_outstanding_bytes
        )
        self._asker = Asker(self._subscribe_for_answers)
        self._joined: dict[str, None] = {}
        self._subscriptions: weakref.WeakSet[Subscription] = weakref.WeakSet()
        self._closed = False

    @property
    def inbox(self) -> str:
        """The address of this agent's inbox, for `reply_to` and `subscribe`."""
        return f"{INBOX_ROOM}:{self.id}"

    async def register(self, **profile: Unpack[Profile]) -> agent_pb2.Agent:
        """Makes the agent known with this profile, in place of the one it had. Its inbox and memberships stay."""
        self._profile = None
        request = agent_service_pb2.RegisterAgentRequest(agent=make_agent(self.id, profile))
        return (await self._connection.call(lambda to: to.agents.RegisterAgent, request)).agent

    async def update(self, **profile: Unpack[Profile]) -> agent_pb2.Agent:
        """Changes those parts of the profile that are given."""
        await self._prepare()
        request = agent_service_pb2.UpdateAgentRequest(agent=make_agent(self.id, profile))
        request.update_mask.paths.extend(part for part in PROFILE_FIELDS if part in profile)
        return (await self._connection.call(lambda to: to.agents.UpdateAgent, request)).agent

    async def heartbeat(self, state: AgentStateName | None = None) -> float:
        """Keeps an agent without subscriptions present for one lease, and tells its state when one is given: "online",
        "away" or "draining" (it takes no new work). Returns the lease, in seconds.
        """
        await self._prepare()
        request = agent_service_pb2.HeartbeatRequest(agent_id=self.id)
        if state is not None:
            request.state = state_value(state)
        response = await self._connection.call(lambda to: to.agents.Heartbeat, request)
        return response.lease_duration.ToTimedelta().total_seconds()

    async def disconnect(self) -> None:
        """Closes this object and takes the agent offline: its streams end, here and everywhere. Inbox and memberships
        stay.
        """
        await self.close()
        request = agent_service_pb2.DisconnectAgentRequest(agent_id=self.id)
        await self._connection.call(lambda to: to.agents.DisconnectAgent, request)

    async def join(self, channel: str) -> room_pb2.Channel:
        """Becomes a member of "room:channel": a candidate for its routing, and a reader by a subscription without
        channels. The channel is created when the server allows it. Joining twice is OK.
        """
        await self._prepare()
        room, name = split_channel(channel)
        request = room_service_pb2.JoinChannelRequest(agent_id=self.id, room=room, channel=name)
        response = await self._connection.call(lambda to: to.rooms.JoinChannel, request)
        self._joined[channel] = None
        return response.channel

    async def leave(self, channel: str) -> None:
        """Ends the membership. No member: nothing happens."""
        room, name = split_channel(channel)
        request = room_service_pb2.LeaveChannelRequest(agent_id=self.id, room=room, channel=name)
        await self._connection.call(lambda to: to.rooms.LeaveChannel, request)
        self._joined.pop(channel, None)

    async def send(self, content: object, **options: Unpack[SendOptions]) -> Receipt:
        """Sends str, bytes, or anything that JSON can say (None: no payload) and returns when it is stored. What is
        sent concurrently goes in the order of the calls. Over a lost connection it is sent again with the same
        idempotency key, so it is stored once. Raises BusError: DEADLINE when `timeout` passed and whether it is stored
        is unknown.

        Without `channel`: when `to` is one agent, that agent's inbox; without `to` as well, the only channel that was
        joined through this object.
        """
        if self._closed:
            raise ClosedError("agent")
        message = make_message(content, options)
        if not message.id:
            message.id = uuid7()
        lane = self._lane(message, options.get("channel"))
        if message.ByteSize() + REQUEST_BYTES > self._settings.max_request_bytes:
            # The server would end the whole stream, and with it what others send over it.
            raise BusError(
                f"the message has {message.ByteSize()} bytes, more than fit in a request of"
                f" {self._settings.max_request_bytes}: put the payload elsewhere and send a reference",
                reason="MESSAGE_TOO_LARGE",
            )
        given = options.get("timeout", self._settings.send_timeout)
        return await self._outbox.publish(lane, message, None if given is None else to_seconds(given))

    # 1 is an int too; it is the one that gives a single message.
    @overload
    async def ask(  # type: ignore[overload-overlap]
        self, content: object, *, answers: Literal[1] = 1, timeout: Seconds = 30.0, **options: Unpack[AskOptions]
    ) -> Message: ...
    @overload
    async def ask(
        self,
        content: object,
        *,
        answers: int | Literal["audience"],
        timeout: Seconds = 30.0,
        **options: Unpack[AskOptions],
    ) -> list[Message]: ...
    async def ask(
        self,
        content: object,
        *,
        answers: int | Literal["audience"] = 1,
        timeout: Seconds = 30.0,
        **options: Unpack[AskOptions],
    ) -> Message | list[Message]:
        """Sends a question and waits for what is answered with `message.reply(...)`.

        `answers`: 1 (default) returns the first answer, and raises BusError DEADLINE when none came in `timeout`
        seconds. A larger number, or "audience" for one answer of each agent that may read the question, returns the
        list of those that came in time. When everyone who reads the channel may read it, "audience" collects until the
        time is up.

        Answers come to this agent's inbox; this object's other subscriptions leave them out (see `answers` there).
        """
        if answers != "audience" and answers < 1:
            raise ValueError(f'answers must be at least 1, or "audience", not {answers!r}')
        limit = to_seconds(timeout)

        async def send(correlation_id: str, left: float) -> Receipt:
            addressed: SendOptions = {"correlation_id": correlation_id, "reply_to": self.inbox, "timeout": left}
            return await self.send(content, **cast("SendOptions", {**options, **addressed}))

        correlation_id = options.get("correlation_id") or uuid7()
        came = await self._asker.ask(correlation_id, Question(answers, limit, send))
        if answers != 1:
            return came
        if not came:
            raise deadline_error(f"nobody answered within {limit:g} s")
        return came[0]

    def subscribe(self, **options: Unpack[SubscribeOptions]) -> Subscription:
        """Reads channels as they grow: `async for message in agent.subscribe(channels=["science:explore"])`. Without
        channels and patterns: this agent's inbox and every channel it joined.
        """
        if self._closed:
            raise ClosedError("agent")
        host = SubscriptionHost(
            self.id, self._connection, self._prepare, self._wrap, self._asker.takes, self._settings.positions
        )
        subscription = Subscription(host, options)
        self._subscriptions.add(subscription)
        return subscription

    async def fetch(self, channel: str, *, wait: Seconds = 0, **options: Unpack[FetchOptions]) -> Page:
        """Reads one page of the history of "room:channel" (or of `inbox`). `wait`: forward only, how long to wait for
        the first message when there is none yet; 0 (default) to 60 s.
        """
        request = fetch_request(self.id, channel, options)
        seconds = to_seconds(wait)
        if seconds > 0:
            request.wait_duration.CopyFrom(to_duration(wait))
        timeout = seconds + self._connection.timeout
        response = await self._connection.call(lambda to: to.bus.Fetch, request, timeout=timeout, wait=seconds)
        return read_page(response, self._wrap)

    async def history(self, channel: str, **options: Unpack[FetchOptions]) -> AsyncIterator[Message]:
        """Iterates over the history of "room:channel" up to what is there now, forward or backward, page by page.
        `max_messages` is the size of a page. Gaps are passed over; `fetch` tells them.
        """
        while True:
            page = await self.fetch(channel, **options)
            for message in page.messages:
                yield message
            if page.caught_up:
                return
            options["start"] = {"position": page.position}

    async def get_message(self, position: str = "", *, channel: str = "", id: str = "") -> Message:
        """Reads one message by its position, or by channel and id. What this agent may not see is MESSAGE_NOT_FOUND."""
        request = bus_service_pb2.GetMessageRequest(agent_id=self.id)
        if position and not (channel or id):
            request.room, request.channel = split_channel(position.rpartition("@")[0])
            request.position = position
        elif channel and id and not position:
            request.room, request.channel = split_channel(channel)
            request.message_id = id
        else:
            raise TypeError("get_message takes a position, or channel and id")
        return self._wrap((await self._connection.call(lambda to: to.bus.GetMessage, request)).message)

    async def flush(self) -> None:
        """Waits until everything that was sent is stored or has failed."""
        await self._outbox.flush()

    async def close(self, timeout: Seconds | None = None) -> None:
        """Ends its subscriptions, gives what is being sent `timeout` seconds (default: the bus's `close_timeout`), and
        fails the rest with ClosedError. The agent stays known to the bus.
        """
        self._closed = True
        limit = self._settings.close_timeout if timeout is None else to_seconds(timeout)
        subscriptions = [subscription.close() for subscription in self._subscriptions]
        closed = await asyncio.gather(
            self._outbox.close(limit), self._asker.close(), *subscriptions, return_exceptions=True
        )
        self._settings.forget(self)
        for outcome in closed:
            if isinstance(outcome, BaseException):
                raise outcome

    async def __aenter__(self) -> Agent:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def _lane(self, message: message_pb2.Message, channel: str | None) -> Lane:
        if channel is None and not message.HasField("to"):
            if len(self._joined) != 1:
                joined = ", ".join(self._joined) or "none"
                raise ValueError(f"send needs channel or to: it joined {joined}, not exactly one channel")
            channel = next(iter(self._joined))
        if channel is None:
            return Lane("", "", next(iter(message.to.agents), ""))
        room, name = split_channel(channel)
        if room == INBOX_ROOM:
            raise ValueError(f'channel {channel!r}: write to an inbox with to="{name}" and without a channel')
        return Lane(room, name, "")

    def _wrap(self, raw: message_pb2.Message) -> Message:
        return Message(raw, self)

    async def _prepare(self) -> None:
        """Registers the profile that was given to `bus.agent`, once."""
        if self._profile is None:
            return
        async with self._registering:
            if self._profile is not None:
                request = agent_service_pb2.RegisterAgentRequest(agent=self._profile)
                # As often as it takes: what waits for it has deadlines of its own.
                await self._connection.call(
                    lambda to: to.agents.RegisterAgent,
                    request,
                    timeout=math.inf,
                    retries=math.inf,
                    what=f"registering {self.id}",
                )
                self._profile = None

    def _subscribe_for_answers(self) -> Subscription:
        return self.subscribe(channels=[self.inbox], observe=True, answers=True, on_gap=lambda _: None)
