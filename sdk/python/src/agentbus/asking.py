"""Questions and their answers, over the asker's inbox."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Literal, NamedTuple

from .errors import ClosedError, deadline_error
from .message import Message
from .receipt import Receipt
from .subscription import Subscription

REMEMBERED_QUESTIONS: Final = 1_000
"""Late answers to so many questions are still told from other messages."""
IDLE_SECONDS: Final = 5.0
"""A stream that nobody needs would keep the server busy."""


class Question(NamedTuple):
    """What is asked, without what is said."""

    answers: int | Literal["audience"]
    timeout: float
    send: Callable[[str, float], Awaitable[Receipt]]
    """Sends it with this correlation id, within so many seconds."""


class Asker:
    """One per agent. All questions share one subscription to the inbox, which is open before the first one is sent and
    closed when none is open for a while.
    """

    def __init__(self, subscribe: Callable[[], Subscription]) -> None:
        self._subscribe = subscribe
        self._subscription: Subscription | None = None
        self._reader: asyncio.Task[None] | None = None
        self._rest: asyncio.TimerHandle | None = None
        self._open: dict[str, asyncio.Queue[Message | Exception]] = {}
        # A dict for its order: the oldest are forgotten first.
        self._asked: dict[str, None] = {}

    def takes(self, correlation_id: str) -> bool:
        """Whether an answer with this correlation id belongs to a question of this agent, also when it comes late."""
        return correlation_id in self._asked

    async def ask(self, correlation_id: str, question: Question) -> list[Message]:
        """Sends the question and collects answers until there are enough or the time is up."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + question.timeout
        answers: asyncio.Queue[Message | Exception] = asyncio.Queue()
        if correlation_id in self._open:
            raise ValueError(f"a question with correlation_id {correlation_id} is being asked")
        self._remember(correlation_id)
        self._open[correlation_id] = answers
        try:
            await self._listen(question.timeout)
            receipt = await question.send(correlation_id, deadline - loop.time())
            return await _collect(answers, _enough(question.answers, receipt), deadline)
        finally:
            del self._open[correlation_id]
            if not self._open:
                self._rest = loop.call_later(IDLE_SECONDS, self._rest_when_idle)

    async def close(self) -> None:
        """Questions that are open fail with ClosedError."""
        if self._rest is not None:
            self._rest.cancel()
        if self._subscription is not None:
            await self._subscription.close()
        if self._reader is not None:
            await asyncio.wait({self._reader})

    def _remember(self, correlation_id: str) -> None:
        self._asked[correlation_id] = None
        if len(self._asked) > REMEMBERED_QUESTIONS:
            del self._asked[next(iter(self._asked))]

    def _rest_when_idle(self) -> None:
        if not self._open and self._reader is not None:
            self._reader.cancel()
            self._reader = self._subscription = None

    async def _listen(self, timeout: float) -> None:
        if self._rest is not None:
            self._rest.cancel()
        if self._subscription is None or self._reader is None or self._reader.done():
            self._subscription = self._subscribe()
            self._reader = asyncio.create_task(self._read(self._subscription), name="agentbus answers")
        try:
            await asyncio.wait_for(self._subscription.ready(), timeout)
        except (TimeoutError, asyncio.TimeoutError):
            raise deadline_error(f"the inbox could not be opened within {timeout:g} s; nothing was asked") from None

    async def _read(self, subscription: Subscription) -> None:
        failure: Exception = ClosedError("agent")
        try:
            async for message in subscription:
                if (answers := self._open.get(message.correlation_id)) is not None:
                    answers.put_nowait(message)
        except Exception as error:
            failure = error
        finally:
            await subscription.close()
        for answers in self._open.values():
            answers.put_nowait(failure)


def _enough(wanted: int | Literal["audience"], receipt: Receipt) -> Callable[[list[Message]], bool]:
    if wanted != "audience":
        return lambda answers: len(answers) >= wanted
    audience = receipt.audience
    # Open to everyone who reads the channel: nobody knows how many will answer.
    if audience is None:
        return lambda _: False
    return lambda answers: len({answer.sender for answer in answers}) >= audience.count


async def _collect(
    queue: asyncio.Queue[Message | Exception], enough: Callable[[list[Message]], bool], deadline: float
) -> list[Message]:
    loop = asyncio.get_running_loop()
    answers: list[Message] = []
    while not enough(answers):
        try:
            answer = await asyncio.wait_for(queue.get(), max(deadline - loop.time(), 0))
        except (TimeoutError, asyncio.TimeoutError):
            break
        if isinstance(answer, Exception):
            raise answer
        answers.append(answer)
    return answers
