"""One subscription: messages as they come, over cuts, with the positions to go on from."""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Final, NamedTuple

from .connection import Connection, Endpoint
from .errors import ClosedError, SubscriptionEnded
from .events import CaughtUp, Cut, Event, Gap, SubscriptionEvent, read_events
from .message import Message
from .options import SubscribeOptions
from .positions import PositionStore, Progress
from .reconnecting_stream import ReconnectingStream
from .subscribe_request import resumed, subscribe_request
from .v1 import bus_service_pb2, message_pb2

if TYPE_CHECKING:
    import grpc.aio

    SubscribeCall = grpc.aio.UnaryStreamCall[bus_service_pb2.SubscribeRequest, bus_service_pb2.SubscribeResponse]

OPENING_SECONDS: Final = 15.0
"""How long the first response may take, which the server sends at once."""
SILENT_INTERVALS: Final = 2.5
"""After so many heartbeat intervals without a word a stream counts as cut."""
SAVE_SECONDS: Final = 1.0
"""How often positions are saved while a response is being read."""


class SubscriptionHost(NamedTuple):
    """What a subscription needs of its agent."""

    agent_id: str
    connection: Connection
    prepare: Callable[[], Awaitable[None]]
    """Settles before the first stream is opened: the agent is registered."""
    wrap: Callable[[message_pb2.Message], Message]
    takes_answer: Callable[[str], bool]
    """Whether a correlation id is that of an `ask`."""
    positions: PositionStore


class Subscription:
    """Messages as they come: `async for message in subscription`. Every one that the agent may see, in order, each
    once; what cannot be delivered any more is told as a Gap. One reader: to read twice, subscribe twice.

    The stream is opened when the first message is asked for (or by `ready`), and again, from where it was, whenever it
    is cut. It reads no further than what it hands out, so a slow loop costs no memory, here or on the bus.

    The loop ends when `close` is called. It raises SubscriptionEnded when the bus finished the subscription, BusError
    when the bus refuses it, and ClosedError when the bus or the agent was closed.

    A message counts as read when the loop comes back for the next one: leaving the loop in its body, by `break` or by
    an exception, leaves the message in hand unread for `name`. Use `async with`, so that it is closed and its positions
    are saved.
    """

    def __init__(self, host: SubscriptionHost, options: SubscribeOptions) -> None:
        self._host = host
        self._options = options
        self._request = subscribe_request(host.agent_id, options)
        on_gap = options.get("on_gap")
        self._on_gap = on_gap if callable(on_gap) else None
        self._store = options.get("positions", host.positions)
        name = options.get("name")
        self._kept_as = None if name is None else f"{host.agent_id}/{name}"
        self._queue: deque[message_pb2.Message | Event | _Passed] = deque()
        self._handed = Progress()
        self._finished = Progress()
        self._in_hand: str | None = None
        self._unsaved = False
        self._saved_at = 0.0
        self._saving = asyncio.Lock()
        self._patience = OPENING_SECONDS
        self._prepared = False
        self._resumes = False
        self._opened = False
        self._caught_up = False
        self._busy = False
        self._leaving = False
        self._filling: asyncio.Task[None] | None = None
        self._failure: Exception | None = None
        self._closed = False
        self._stream = ReconnectingStream(
            host.connection, f"subscription of {host.agent_id}", self._open, lambda: self._patience
        )

    def __aiter__(self) -> AsyncIterator[Message]:
        return self

    async def __anext__(self) -> Message:
        while (event := await self._next()) is not None:
            if isinstance(event, Message):
                return event
            if isinstance(event, Gap) and self._on_gap is None:
                self._host.connection.warn(f"{event}; subscribe with on_gap to handle this")
        raise StopAsyncIteration

    async def events(self) -> AsyncIterator[SubscriptionEvent]:
        """Everything that the subscription tells: messages, and between them Opened, CaughtUp, Gap, Heartbeat and Cut.
        Instead of iterating over the subscription itself.
        """
        while (event := await self._next()) is not None:
            yield event

    async def ready(self) -> Subscription:
        """Returns when the stream is open: what is published from then on will be read."""
        while not self._opened and not self._closed:
            await self._fill()
        if self._closed:
            raise ClosedError("subscription")
        return self

    def positions(self) -> list[str]:
        """Where to go on from after the last message that was handed out: one position a channel, at most 1,000."""
        return self._handed.positions()

    async def close(self) -> None:
        """Ends the subscription; the loop that reads it finishes. Raises what the position store raises."""
        if not self._closed:
            self._closed = True
            self._stream.close()
            if self._filling is not None:
                self._filling.cancel()
        await self._save()

    async def __aenter__(self) -> Subscription:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _next(self) -> SubscriptionEvent | None:
        """The next event; None: closed."""
        if self._busy:
            raise RuntimeError("another task is reading this subscription: it would get what this one misses")
        self._busy = True
        try:
            if self._in_hand is not None:
                self._finished.advance(self._in_hand)
                self._in_hand = None
                self._unsaved = True
            while not self._closed:
                if not self._queue or self._now() - self._saved_at >= SAVE_SECONDS:
                    await self._save()
                if not self._queue:
                    await self._fill()
                elif (event := self._take(self._queue.popleft())) is not None:
                    return event
            return None
        finally:
            self._busy = False

    def _take(self, item: message_pb2.Message | Event | _Passed) -> SubscriptionEvent | None:
        """What the loop is told of one thing that came, if anything."""
        if isinstance(item, _Passed):
            self._pass(item)
            return None
        if isinstance(item, message_pb2.Message):
            message = self._host.wrap(item)
            if (
                message.direct
                and not self._options.get("answers", False)
                and self._host.takes_answer(item.correlation_id)
            ):
                self._pass(_Passed([message.position]))
                return None
            self._handed.advance(message.position)
            self._in_hand = message.position
            return message
        if isinstance(item, Gap) and self._on_gap is not None:
            self._on_gap(item)
        if isinstance(item, CaughtUp) and (on_caught_up := self._options.get("on_caught_up")) is not None:
            on_caught_up()
        if isinstance(item, Cut) and (on_cut := self._options.get("on_cut")) is not None:
            on_cut(item.error)
        return item

    def _pass(self, passed: _Passed) -> None:
        for progress in (self._handed, self._finished):
            progress.advance(*passed.positions)
            if passed.complete:
                progress.keep_only(passed.positions)
        self._unsaved = True

    async def _fill(self) -> None:
        """Waits for one response, or for one attempt to fail, and queues what there is to tell of it. It runs in a task
        of its own: callers that come together share it, and a caller that is cancelled does not cut the stream.
        """
        if self._failure is not None:
            raise self._failure
        filling = self._filling = self._filling or asyncio.ensure_future(self._receive())
        await asyncio.wait({filling})
        if self._filling is filling:
            self._filling = None
        if self._closed:
            return
        try:
            filling.result()
        except Exception as error:
            self._failure = error
            raise

    async def _receive(self) -> None:
        if not self._prepared:
            await self._prepare()
        if self._leaving:
            self._leaving = False
            self._stream.move_on()
        response = await self._stream.next()
        if isinstance(response, Cut):
            # Cuts in a row are told as one: while the bus is away, they are many.
            if not (self._queue and isinstance(self._queue[-1], Cut)):
                self._queue.append(response)
        else:
            self._accept(response)

    async def _prepare(self) -> None:
        await self._host.prepare()
        if self._kept_as is not None:
            loaded = self._store.load(self._kept_as)
            positions = await loaded if inspect.isawaitable(loaded) else loaded
            self._pass(_Passed(positions))
            self._unsaved = False
            self._resumes = bool(positions)
        self._prepared = True

    def _open(self, endpoint: Endpoint) -> SubscribeCall:
        self._patience = OPENING_SECONDS
        # Before the first response there is nothing to go on from: it starts as it was asked to.
        request = resumed(self._request, self._handed.positions()) if self._resumes else self._request
        return endpoint.bus.Subscribe(request, metadata=self._host.connection.metadata)

    def _accept(self, response: bus_service_pb2.SubscribeResponse) -> None:
        if response.opened.HasField("heartbeat_interval"):
            self._patience = response.opened.heartbeat_interval.ToTimedelta().total_seconds() * SILENT_INTERVALS
        self._opened = self._resumes = True
        self._queue.extend(read_events(response))
        self._queue.extend(response.messages)
        # The first response names every channel that matches; what is known beside them is gone.
        if response.positions or response.HasField("opened"):
            self._queue.append(_Passed(response.positions, complete=response.HasField("opened")))
        if response.caught_up and not self._caught_up:
            # A stream that was opened again catches up again, which is of no interest to a reader.
            self._caught_up = True
            self._queue.append(CaughtUp())
        self._leaving = response.HasField("go_away")
        if response.HasField("end"):
            # Raised once what came before it has been read.
            self._failure = self._ended(response.end)
            self._stream.close()

    def _ended(self, end: bus_service_pb2.End) -> Exception:
        if end.reason == bus_service_pb2.END_REASON_UNSUBSCRIBED:
            return ClosedError("subscription")
        known = end.reason in bus_service_pb2.EndReason.values()
        reason = bus_service_pb2.EndReason.Name(end.reason) if known else str(end.reason)
        return SubscriptionEnded(reason.removeprefix("END_REASON_"), end.message, end.channel)

    async def _save(self) -> None:
        async with self._saving:
            if self._kept_as is None or not self._unsaved:
                return
            self._unsaved = False
            self._saved_at = self._now()
            saved = self._store.save(self._kept_as, self._finished.positions())
            if inspect.isawaitable(saved):
                await saved

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


class _Passed(NamedTuple):
    """Everything up to these positions has been told."""

    positions: Sequence[str]
    complete: bool = False
    """They are those of all channels that match."""
