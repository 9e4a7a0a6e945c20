"""An event loop in a thread of its own."""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class LoopThread:
    """Runs coroutines for threads that wait for them. A daemon: a program that ends without closing is not held up."""

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="agentbus", daemon=True)
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Waits for the result. An interruption (Ctrl-C) cancels the coroutine."""
        try:
            self._check()
        except RuntimeError:
            coroutine.close()
            raise
        work = _Work(coroutine)
        try:
            self._loop.call_soon_threadsafe(work.start)
            return work.result.result()
        except BaseException:
            # Whenever the interruption came, also right after the start: callbacks run in order.
            self._loop.call_soon_threadsafe(work.cancel)
            raise

    def iterate(self, iterator: AsyncIterator[T]) -> Iterator[T]:
        """Waits for one item after another. Leaving the loop early closes the iterator."""

        async def step() -> tuple[T] | None:
            try:
                return (await iterator.__anext__(),)
            except StopAsyncIteration:
                return None

        async def close() -> None:
            aclose = getattr(iterator, "aclose", None)
            if aclose is not None:
                await aclose()

        try:
            while (item := self.run(step())) is not None:
                yield item[0]
        finally:
            if not self._loop.is_closed():
                self.run(close())

    def stop(self) -> None:
        """Ends the loop and the thread. Stopping twice is OK."""
        if self._loop.is_closed() or os.getpid() != self._pid:
            return
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _check(self) -> None:
        if os.getpid() != self._pid:
            raise RuntimeError("this AgentBus was made before a fork and works in the parent only: make one here")
        if threading.current_thread() is self._thread:
            raise RuntimeError("a callback must not wait for the bus: it runs in the thread that it would wait for")
        if self._loop.is_closed():
            raise RuntimeError("the bus is closed")


class _Work(Generic[T]):
    """One coroutine and its result. What touches the task runs in the loop's thread."""

    def __init__(self, coroutine: Coroutine[Any, Any, T]) -> None:
        self.result: concurrent.futures.Future[T] = concurrent.futures.Future()
        self._coroutine = coroutine
        self._task: asyncio.Task[T] | None = None

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._coroutine)
        self._task.add_done_callback(self._done)

    def cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _done(self, task: asyncio.Task[T]) -> None:
        if task.cancelled():
            self.result.cancel()
        elif (error := task.exception()) is not None:
            self.result.set_exception(error)
        else:
            self.result.set_result(task.result())
