"""A subscription that a plain loop reads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import TypeAlias

from .. import message as asynchronous
from .. import subscription as core
from ..events import Event
from ..history import PageOf
from ..v1 import message_pb2
from .loop_thread import LoopThread
from .message import Message

SubscriptionEvent: TypeAlias = "Message | Event"
Page = PageOf[Message]


class Subscription:
    """Messages as they come: `for message in subscription`. See `agentbus.Subscription`; use it with `with`."""

    def __init__(
        self,
        loop: LoopThread,
        subscription: core.Subscription,
        wrap: Callable[[message_pb2.Message], Message],
    ) -> None:
        self._loop = loop
        self._core = subscription
        self._wrap = wrap

    def __iter__(self) -> Iterator[Message]:
        return self

    def __next__(self) -> Message:
        message = self._loop.run(self._next())
        if message is None:
            raise StopIteration
        return self._wrap(message.raw)

    def receive(self, timeout: float) -> Message | None:
        """The next message, or None when none came within `timeout` seconds or the subscription was closed."""
        message = self._loop.run(self._next(timeout))
        return None if message is None else self._wrap(message.raw)

    def events(self) -> Iterator[SubscriptionEvent]:
        """Everything that the subscription tells: messages, and between them Opened, CaughtUp, Gap, Heartbeat and Cut.
        Instead of iterating over the subscription itself.
        """
        for event in self._loop.iterate(self._core.events()):
            yield self._wrap(event.raw) if isinstance(event, asynchronous.Message) else event

    def ready(self) -> Subscription:
        """Returns when the stream is open: what is published from then on will be read."""
        self._loop.run(self._core.ready())
        return self

    def positions(self) -> list[str]:
        """Where to go on from after the last message that was handed out: one position a channel, at most 1,000."""
        return self._core.positions()

    def close(self) -> None:
        """Ends the subscription; the loop that reads it finishes."""
        self._loop.run(self._core.close())

    def __enter__(self) -> Subscription:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def _next(self, timeout: float | None = None) -> asynchronous.Message | None:
        try:
            return await asyncio.wait_for(self._core.__anext__(), timeout)
        except (StopAsyncIteration, TimeoutError, asyncio.TimeoutError):
            return None
