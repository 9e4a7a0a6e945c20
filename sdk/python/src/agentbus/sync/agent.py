"""One agent's view of the bus, for plain code."""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Literal, overload

from .. import agent as core
from ..receipt import Receipt
from ..v1 import agent_pb2, message_pb2, room_pb2
from .loop_thread import LoopThread
from .message import Message
from .subscription import Page, Subscription

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ..options import (
        AgentStateName,
        AskOptions,
        FetchOptions,
        Profile,
        Seconds,
        SendOptions,
        SubscribeOptions,
    )


class Agent:
    """Speaks and listens as one agent. See `agentbus.Agent`: the same words, and each waits until it is done."""

    def __init__(self, loop: LoopThread, agent: core.Agent) -> None:
        self._loop = loop
        self._core = agent

    @property
    def id(self) -> str:
        """Whom it speaks for."""
        return self._core.id

    @property
    def inbox(self) -> str:
        """The address of this agent's inbox, for `reply_to` and `subscribe`."""
        return self._core.inbox

    def register(self, **profile: Unpack[Profile]) -> agent_pb2.Agent:
        """Makes the agent known with this profile, in place of the one it had."""
        return self._loop.run(self._core.register(**profile))

    def update(self, **profile: Unpack[Profile]) -> agent_pb2.Agent:
        """Changes those parts of the profile that are given."""
        return self._loop.run(self._core.update(**profile))

    def heartbeat(self, state: AgentStateName | None = None) -> float:
        """Keeps an agent without subscriptions present for one lease. Returns the lease, in seconds."""
        return self._loop.run(self._core.heartbeat(state))

    def disconnect(self) -> None:
        """Closes this object and takes the agent offline."""
        self._loop.run(self._core.disconnect())

    def join(self, channel: str) -> room_pb2.Channel:
        """Becomes a member of "room:channel"."""
        return self._loop.run(self._core.join(channel))

    def leave(self, channel: str) -> None:
        """Ends the membership."""
        self._loop.run(self._core.leave(channel))

    def send(self, content: object, **options: Unpack[SendOptions]) -> Receipt:
        """Sends str, bytes, or anything that JSON can say, and returns when it is stored."""
        return self._loop.run(self._core.send(content, **options))

    # 1 is an int too; it is the one that gives a single message.
    @overload
    def ask(  # type: ignore[overload-overlap]
        self, content: object, *, answers: Literal[1] = 1, timeout: Seconds = 30.0, **options: Unpack[AskOptions]
    ) -> Message: ...
    @overload
    def ask(
        self,
        content: object,
        *,
        answers: int | Literal["audience"],
        timeout: Seconds = 30.0,
        **options: Unpack[AskOptions],
    ) -> list[Message]: ...
    def ask(
        self,
        content: object,
        *,
        answers: int | Literal["audience"] = 1,
        timeout: Seconds = 30.0,
        **options: Unpack[AskOptions],
    ) -> Message | list[Message]:
        """Sends a question and waits for one answer, or for many."""
        if answers == 1:
            return self._wrap(self._loop.run(self._core.ask(content, timeout=timeout, **options)).raw)
        many = self._loop.run(self._core.ask(content, answers=answers, timeout=timeout, **options))
        return [self._wrap(answer.raw) for answer in many]

    def subscribe(self, **options: Unpack[SubscribeOptions]) -> Subscription:
        """Reads channels as they grow: `for message in agent.subscribe(channels=["science:explore"])`. Callbacks run in
        the background thread and must not call the bus.
        """

        async def subscribe() -> Subscription:
            return Subscription(self._loop, self._core.subscribe(**options), self._wrap)

        return self._loop.run(subscribe())

    def fetch(self, channel: str, *, wait: Seconds = 0, **options: Unpack[FetchOptions]) -> Page:
        """Reads one page of the history of "room:channel"."""
        page = self._loop.run(self._core.fetch(channel, wait=wait, **options))
        messages = [self._wrap(message.raw) for message in page.messages]
        return Page(messages, page.position, page.caught_up, page.gaps)

    def history(self, channel: str, **options: Unpack[FetchOptions]) -> Iterator[Message]:
        """Iterates over the history of "room:channel" up to what is there now, forward or backward, page by page."""
        for message in self._loop.iterate(self._core.history(channel, **options)):
            yield self._wrap(message.raw)

    def get_message(self, position: str = "", *, channel: str = "", id: str = "") -> Message:
        """Reads one message by its position, or by channel and id."""
        return self._wrap(self._loop.run(self._core.get_message(position, channel=channel, id=id)).raw)

    def flush(self) -> None:
        """Waits until everything that was sent is stored or has failed."""
        self._loop.run(self._core.flush())

    def close(self, timeout: Seconds | None = None) -> None:
        """Ends its subscriptions, and gives what is being sent by other threads `timeout` seconds."""
        self._loop.run(self._core.close(timeout))

    def __enter__(self) -> Agent:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _wrap(self, raw: message_pb2.Message) -> Message:
        return Message(raw, self)
