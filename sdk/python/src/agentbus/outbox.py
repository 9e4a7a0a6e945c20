"""Publishes an agent's messages over one stream, in order, over cuts."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from .budget import Budget
from .connection import Connection, Endpoint, outcome
from .errors import BusError, ClosedError, deadline_error
from .failure_row import FailureRow
from .publish_window import Lane, Pending, PublishWindow
from .v1 import bus_service_pb2

if TYPE_CHECKING:
    import grpc.aio

    from .receipt import Receipt
    from .v1 import message_pb2

    PublishCall = grpc.aio.StreamStreamCall[bus_service_pb2.PublishStreamRequest, bus_service_pb2.PublishStreamResponse]

IDLE_SECONDS: Final = 5.0
"""A stream that nobody needs would keep the agent present and the server busy."""


class Outbox:
    """One per agent. Bounded: who sends more than the budget allows waits."""

    def __init__(
        self,
        connection: Connection,
        agent_id: str,
        prepare: Callable[[], Awaitable[None]],
        max_messages: int,
        max_bytes: int,
    ) -> None:
        """`prepare` settles before the first message goes out."""
        self._connection = connection
        self._agent_id = agent_id
        self._prepare = prepare
        self._budget = Budget(max_messages, max_bytes)
        self._backoff = connection.backoff()
        self._window = PublishWindow(agent_id, self._backoff, connection.moves_on)
        self._outstanding = 0
        self._changed = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._pump: asyncio.Task[None] | None = None
        self._closed = False
        self._progressed = False
        self._row = FailureRow()
        self._awaited_since = 0.0

    async def publish(self, lane: Lane, message: message_pb2.Message, timeout: float | None) -> Receipt:
        """Resolves when the message is stored. Raises BusError: DEADLINE when that took longer than `timeout` seconds
        (it may or may not be stored), else what the server said.
        """
        if self._closed:
            raise ClosedError("agent")
        loop = asyncio.get_running_loop()
        deadline = None if timeout is None else loop.time() + timeout
        item = Pending(lane, message, loop.create_future())
        self._outstanding += 1
        self._idle.clear()
        try:
            await self._room(item, timeout)
            try:
                return await self._stored(item, deadline)
            finally:
                self._budget.release(item.size)
        finally:
            self._outstanding -= 1
            if self._outstanding == 0:
                self._idle.set()

    async def flush(self) -> None:
        """Waits until everything that was sent is settled, one way or the other."""
        await self._idle.wait()

    async def close(self, timeout: float) -> None:
        """Takes nothing new, gives what is there `timeout` seconds, then fails the rest."""
        self._closed = True
        with contextlib.suppress(TimeoutError, asyncio.TimeoutError):
            await asyncio.wait_for(self._idle.wait(), timeout)
        self._window.reject_all(ClosedError("agent"))
        if self._pump is not None:
            self._pump.cancel()
            await asyncio.wait({self._pump})

    async def _room(self, item: Pending, timeout: float | None) -> None:
        if self._budget.try_acquire(item.size):
            return
        try:
            await asyncio.wait_for(self._budget.acquire(item.size), timeout)
        except (TimeoutError, asyncio.TimeoutError):
            raise deadline_error(
                f"the outbox had no room for message {item.message.id} within {timeout:g} s; it was not sent"
            ) from None

    async def _stored(self, item: Pending, deadline: float | None) -> Receipt:
        if self._closed:
            raise ClosedError("agent")
        self._window.add(item)
        self._changed.set()
        if self._pump is None or self._pump.done():
            self._pump = asyncio.create_task(self._run(), name="agentbus outbox")
        timer = None
        if deadline is not None:
            timer = asyncio.get_running_loop().call_at(deadline, item.reject, _late(item))
        try:
            return await item.receipt
        except (BusError, asyncio.CancelledError):
            self._window.abandon(item)
            raise
        finally:
            if timer is not None:
                timer.cancel()

    async def _run(self) -> None:
        try:
            await self._prepare()
            while True:
                while not self._window.has_work:
                    self._changed.clear()
                    await self._changed.wait()
                endpoint = self._connection.endpoint()
                error = await self._stream(endpoint)
                if error is not None and error.retry == "NEVER":
                    self._window.refused(error)
                self._window.cut()
                if error is None or not self._window.has_work:
                    continue
                self._connection.failed(endpoint, error)
                if self._progressed:
                    self._row.clear()
                elif self._row.add():
                    self._connection.keeps_failing(f"publishing of {self._agent_id}", error)
                await asyncio.sleep(max(error.retry_delay or 0, self._backoff.next()))
        except (BusError, ClosedError) as error:
            self._window.reject_all(error)

    async def _stream(self, endpoint: Endpoint) -> BusError | None:
        """Publishes over one stream until it ends. None: it was not needed for a while, or another address is used."""
        self._progressed = False
        call = endpoint.bus.PublishStream(metadata=self._connection.metadata)
        writer = asyncio.ensure_future(self._write(call, endpoint))
        reader = asyncio.ensure_future(self._read(call, endpoint))
        try:
            await asyncio.wait({writer, reader}, return_when=asyncio.FIRST_COMPLETED)
            # When both failed, what the reader met is the status of the call; the writer only met its end.
            if not reader.done() and writer.done() and not writer.cancelled() and writer.exception() is not None:
                await asyncio.wait({reader}, timeout=1)
            return next((error for task in (reader, writer) if task.done() and (error := _failure(task))), None)
        finally:
            call.cancel()
            writer.cancel()
            reader.cancel()
            await asyncio.wait({writer, reader})

    async def _write(self, call: PublishCall, endpoint: Endpoint) -> None:
        """Returns when it should go on over another stream: what else the client does has moved to another address,
        most likely because this server is leaving, and everything here is answered.
        """
        loop = asyncio.get_running_loop()
        while True:
            self._changed.clear()
            moved = self._connection.endpoint() is not endpoint
            if moved and self._window.unanswered == 0:
                return
            request = None if moved else self._window.next_request(loop.time())
            if request is not None:
                if self._window.unanswered == 1:
                    self._awaited_since = loop.time()
                await call.write(request)
                continue
            pause = self._window.resume_at - loop.time()
            with contextlib.suppress(TimeoutError, asyncio.TimeoutError):
                await asyncio.wait_for(self._changed.wait(), pause if pause > 0 else None)

    async def _read(self, call: PublishCall, endpoint: Endpoint) -> None:
        loop = asyncio.get_running_loop()
        patience = self._connection.answer_timeout(self._row.count)
        quiet_since = loop.time()
        reading: asyncio.Future[bus_service_pb2.PublishStreamResponse | None] | None = None

        def due() -> float:
            return self._awaited_since + patience if self._window.unanswered else quiet_since + IDLE_SECONDS

        try:
            while True:
                reading = reading or asyncio.ensure_future(_read_one(call))
                # Something may be sent while nothing is awaited, and its answer is due before the idle time is over.
                done, _ = await asyncio.wait({reading}, timeout=min(max(0.0, due() - loop.time()), patience))
                if not done:
                    if loop.time() < due():
                        continue
                    if self._window.unanswered:
                        raise BusError(f"no answer to a publish within {patience:g} s", code="UNAVAILABLE")
                    if not self._window.has_work:
                        return
                    quiet_since = loop.time()
                    continue
                response = outcome(reading)
                reading = None
                if response is None:
                    raise BusError("the publish stream was cut", code="UNAVAILABLE")
                self._progressed = True
                quiet_since = self._awaited_since = loop.time()
                self._window.answered(response, quiet_since)
                self._connection.reached(endpoint)
                self._changed.set()
        finally:
            if reading is not None:
                reading.cancel()


async def _read_one(call: PublishCall) -> bus_service_pb2.PublishStreamResponse | None:
    response = await call.read()
    return response if isinstance(response, bus_service_pb2.PublishStreamResponse) else None


def _failure(task: asyncio.Future[None]) -> BusError | None:
    try:
        outcome(task)
    except BusError as error:
        return error
    return None


def _late(item: Pending) -> BusError:
    return deadline_error(
        f"message {item.message.id} was not acknowledged in time; whether it is stored is unknown: to send it again,"
        " use the same idempotency key"
    )
