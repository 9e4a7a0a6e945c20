"""A server stream that is opened again when it is cut."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, TypeVar, cast

import grpc.aio

from .connection import Connection, Endpoint, outcome
from .errors import BusError, ClosedError
from .events import Cut
from .failure_row import FailureRow

if TYPE_CHECKING:
    from google.protobuf.message import Message as ProtoMessage

Request = TypeVar("Request", bound="ProtoMessage")
Response = TypeVar("Response", bound="ProtoMessage")


class ReconnectingStream(Generic[Request, Response]):
    """Opened on the next address and after a growing pause, until the bus refuses it for good. One response is read at
    a time, and only when it is asked for: a slow reader is felt by the server, through the flow control of HTTP/2.
    """

    def __init__(
        self,
        connection: Connection,
        what: str,
        open_call: Callable[[Endpoint], grpc.aio.UnaryStreamCall[Request, Response]],
        patience: Callable[[], float | None],
    ) -> None:
        """`patience`: how long the next response may take before the stream counts as cut, in seconds."""
        self._connection = connection
        self._what = what
        self._open_call = open_call
        self._patience = patience
        self._endpoint: Endpoint | None = None
        self._call: grpc.aio.UnaryStreamCall[Request, Response] | None = None
        self._reading: asyncio.Future[object] | None = None
        self._backoff = connection.backoff()
        self._row = FailureRow()
        self._pause = 0.0
        self._closed = False

    async def next(self) -> Response | Cut:
        """The next response, or the news that the stream was cut: the next call opens it again. Raises BusError when
        the bus refuses it for good, ClosedError after close(). Not to be called again before it is done.
        """
        pause, self._pause = self._pause, 0.0
        if pause > 0:
            await asyncio.sleep(pause)
        if self._closed:
            raise ClosedError(self._what)
        if self._call is None:
            self._endpoint = self._connection.endpoint()
            self._call = self._open_call(self._endpoint)
        self._reading = asyncio.ensure_future(self._call.read())
        patience = self._patience()
        done, _ = await asyncio.wait({self._reading}, timeout=patience)
        if self._closed:
            raise ClosedError(self._what)
        try:
            if not done:
                raise BusError(f"nothing came to the {self._what} for {patience:g} s", code="UNAVAILABLE")
            response = outcome(self._reading)
            if response is grpc.aio.EOF:
                raise BusError(f"the {self._what} was cut", code="UNAVAILABLE")
        except BusError as error:
            return self._lost(error)
        self._reading = None
        if self._endpoint is not None:
            self._connection.reached(self._endpoint)
        self._row.clear()
        self._backoff.reset()
        return cast("Response", response)

    def move_on(self) -> None:
        """Leaves a server that is about to close: the next response comes over a new stream, at best from another
        one.
        """
        if self._endpoint is not None:
            self._connection.left(self._endpoint)
        self._drop()
        self._pause = self._backoff.next()

    def close(self) -> None:
        """Ends the stream; who waits for a response gets a ClosedError. A pause is for its caller to cancel."""
        self._closed = True
        self._drop()

    def _lost(self, error: BusError) -> Cut:
        if self._endpoint is not None:
            self._connection.failed(self._endpoint, error)
        self._drop()
        if error.retry == "NEVER":
            raise error
        self._pause = max(error.retry_delay or 0, self._backoff.next())
        if self._row.add():
            self._connection.keeps_failing(f"the {self._what}", error)
        return Cut(error)

    def _drop(self) -> None:
        self._endpoint = None
        reading, self._reading = self._reading, None
        call, self._call = self._call, None
        if reading is not None:
            reading.cancel()
        if call is not None:
            call.cancel()
