"""What an agent has to publish, and what of it is on its way: the outbox without its stream."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple

from .backoff import Backoff
from .error_details import from_error
from .errors import BusError
from .receipt import Receipt, read_receipt
from .v1 import bus_service_pb2, message_pb2

MAX_BATCH_MESSAGES: Final = 100
"""What one request may hold by the contract."""
MAX_BATCH_BYTES: Final = 1_048_576
"""Half of what one request may hold by default, so that a batch always fits beside its envelope."""
MAX_REQUESTS: Final = 32
"""Requests without an answer. More would only wait in the server."""
REFUSES_ALL: Final = frozenset({"UNAUTHENTICATED", "PERMISSION_DENIED", "UNIMPLEMENTED"})
"""What refuses a whole stream with one of these codes refuses every message."""


class Lane(NamedTuple):
    """What goes into one request: one channel, or the inbox of one agent."""

    room: str
    channel: str
    inbox_of: str
    """The recipient when room and channel are empty."""


class Pending:
    """One message and who waits for its receipt."""

    __slots__ = ("alone", "lane", "message", "receipt", "size")

    def __init__(self, lane: Lane, message: message_pb2.Message, receipt: asyncio.Future[Receipt]) -> None:
        self.lane = lane
        self.message = message
        self.receipt = receipt
        # Tag and length included, generously: a request must never come out larger than it was planned.
        self.size = message.ByteSize() + 8
        self.alone = False

    @property
    def abandoned(self) -> bool:
        """Nobody waits any more: its deadline passed or its sender was cancelled."""
        return self.receipt.done()

    def reject(self, error: Exception) -> None:
        """Tells who waits that it failed."""
        if not self.receipt.done():
            self.receipt.set_exception(error)


class Batch:
    """Messages of one request."""

    __slots__ = ("items", "lane", "request_id")

    def __init__(self, lane: Lane, items: list[Pending]) -> None:
        self.lane = lane
        self.items = items
        self.request_id = 0


class PublishWindow:
    """Forms batches and keeps them until they are answered; knows what may be sent next. Does no I/O.

    Order within a channel holds over refusals, because of two rules:

    - Behind a batch of several messages nothing of the same channel is sent before its answer. One bad message refuses
      its whole batch; the others must be sent again without it, and nothing may have overtaken them.
    - After an answer that says SAME, nothing is sent until all answers are there. Then everything that was refused goes
      again, in order and under the same request ids, as the contract wants it.
    """

    def __init__(self, agent_id: str, backoff: Backoff, moves_on: Callable[[BusError], bool]) -> None:
        """`moves_on`: whether a refusal is met by sending everything to another address."""
        self._agent_id = agent_id
        self._backoff = backoff
        self._moves_on = moves_on
        self._waiting: dict[Lane, deque[Pending]] = {}
        self._resend: deque[Batch] = deque()
        self._in_flight: deque[Batch] = deque()
        # In the order of sending: what was refused, what is on its way, what is to be sent again, what waits.
        self._refused: deque[Batch] = deque()
        self._last_request_id = 0
        self._halted = False
        self._one_by_one = 0
        self.resume_at = 0.0
        """Nothing is sent before this time of the loop."""

    def add(self, item: Pending) -> None:
        """One more to publish."""
        self._waiting.setdefault(item.lane, deque()).append(item)

    def abandon(self, item: Pending) -> None:
        """Nobody waits for this one any more. What is on its way already stays so."""
        lane = self._waiting.get(item.lane)
        if lane is not None and item in lane:
            lane.remove(item)
            if not lane:
                del self._waiting[item.lane]

    @property
    def unanswered(self) -> int:
        """Requests on their way."""
        return len(self._in_flight)

    @property
    def has_work(self) -> bool:
        """Something is to be sent, or to be answered."""
        return bool(self._waiting or self._resend or self._in_flight or self._refused)

    def next_request(self, now: float) -> bus_service_pb2.PublishStreamRequest | None:
        """What to send now, if anything."""
        if len(self._in_flight) >= (1 if self._one_by_one else MAX_REQUESTS) or now < self.resume_at:
            return None
        if self._halted:
            if self._in_flight:
                return None
            self._halted = False
            self._resend.extendleft(reversed(self._refused))
            self._refused.clear()
        batch = self._next_batch()
        if batch is None:
            return None
        if batch.request_id == 0:
            self._last_request_id += 1
            batch.request_id = self._last_request_id
        self._in_flight.append(batch)
        publish = bus_service_pb2.PublishRequest(
            agent_id=self._agent_id,
            room=batch.lane.room,
            channel=batch.lane.channel,
            messages=[item.message for item in batch.items],
        )
        return bus_service_pb2.PublishStreamRequest(request_id=batch.request_id, publish=publish)

    def answered(self, response: bus_service_pb2.PublishStreamResponse, now: float) -> None:
        """Takes an answer. Raises BusError when the stream is of no more use."""
        if not self._in_flight or self._in_flight[0].request_id != response.request_id:
            raise BusError(f"the server answered request {response.request_id} out of turn", code="INTERNAL")
        batch = self._in_flight.popleft()
        self._one_by_one = max(0, self._one_by_one - 1)
        if response.HasField("published"):
            self._backoff.reset()
            published = response.published
            for item, result in zip(batch.items, published.results, strict=False):
                if not item.receipt.done():
                    item.receipt.set_result(read_receipt(result, published.durability))
            for item in batch.items[len(published.results) :]:
                item.reject(BusError("the server gave no result for the message", reason="INTERNAL"))
            return
        error = from_error(response.error)
        if error.retry == "NEVER":
            self._refused_for_good(batch, error)
            return
        self._halted = True
        self._refused.append(batch)
        if self._moves_on(error):
            raise error
        if error.reason != "RESEND_REQUIRED" or len(self._refused) == 1:
            self.resume_at = now + max(error.retry_delay or 0, self._backoff.next())

    def cut(self) -> None:
        """The stream is gone: what was not answered goes again on the next one. The keys make that safe."""
        batches = [*self._sent(), *self._resend]
        self._resend.clear()
        for batch in batches:
            batch.request_id = 0
            batch.items = [item for item in batch.items if not item.abandoned]
            if batch.items:
                self._resend.append(batch)
        self._last_request_id = 0
        self._halted = False
        self.resume_at = 0.0

    def refused(self, error: BusError) -> None:
        """The server refused the whole stream for good. Which message made it do so shows when they go one by one."""
        items = [item for batch in self._sent() for item in batch.items if not item.abandoned]
        if not items or error.code in REFUSES_ALL:
            for item in items:
                item.reject(error)
            self.reject_all(error)
        elif len(items) == 1:
            items[0].reject(error)
        else:
            self._one_by_one = len(items)
            self._resend.extendleft(Batch(item.lane, [item]) for item in reversed(items))

    def _sent(self) -> list[Batch]:
        """Takes what was sent and not stored."""
        batches = [*self._refused, *self._in_flight]
        self._refused.clear()
        self._in_flight.clear()
        return batches

    def reject_all(self, error: Exception) -> None:
        """Nothing will be sent any more."""
        items = [item for batch in (*self._sent(), *self._resend) for item in batch.items]
        self._resend.clear()
        items.extend(item for lane in self._waiting.values() for item in lane)
        self._waiting.clear()
        for item in items:
            item.reject(error)

    def _next_batch(self) -> Batch | None:
        if self._resend:
            # Sent before, and under an id that the server may be waiting for: goes as it is.
            return self._resend.popleft() if self._may_follow(self._resend[0].lane) else None
        for lane, items in self._waiting.items():
            if self._may_follow(lane):
                batch = Batch(lane, self._take(items))
                # To the end: other channels come first next time.
                del self._waiting[lane]
                if items:
                    self._waiting[lane] = items
                return batch
        return None

    def _may_follow(self, lane: Lane) -> bool:
        return all(batch.lane != lane or len(batch.items) == 1 for batch in self._in_flight)

    @staticmethod
    def _take(items: deque[Pending]) -> list[Pending]:
        taken = [items.popleft()]
        size = taken[0].size
        while items and not (taken[0].alone or items[0].alone) and len(taken) < MAX_BATCH_MESSAGES:
            size += items[0].size
            if size > MAX_BATCH_BYTES:
                break
            taken.append(items.popleft())
        return taken

    def _refused_for_good(self, batch: Batch, error: BusError) -> None:
        """Nothing of the batch was stored, and one message of it, or all of it, will never be."""
        items = batch.items
        if len(items) == 1:
            items[0].reject(error)
            return
        if error.index is not None and error.index < len(items):
            wrong = items.pop(error.index)
            # The batch was made here: its numbering means nothing to who sent the message.
            error.index = None
            wrong.reject(error)
        else:
            # Not told which: each goes alone and gets an answer of its own.
            for item in items:
                item.alone = True
        lane = self._waiting.setdefault(batch.lane, deque())
        lane.extendleft(reversed([item for item in items if not item.abandoned]))
        if not lane:
            del self._waiting[batch.lane]
