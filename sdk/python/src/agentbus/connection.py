"""The way to the server: one or several addresses, tried in turn."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

import grpc
import grpc.aio

from .addresses import Addresses
from .backoff import Backoff
from .error_details import from_rpc_error
from .errors import BusError, ClosedError
from .failure_row import FailureRow
from .v1.admin_service_pb2_grpc import AdminServiceStub
from .v1.agent_service_pb2_grpc import AgentServiceStub
from .v1.bus_service_pb2_grpc import BusServiceStub
from .v1.room_service_pb2_grpc import RoomServiceStub

if TYPE_CHECKING:
    from google.protobuf.message import Message as ProtoMessage

    from .link_options import Link

DEFAULT_URL = "http://127.0.0.1:7400"
logger = logging.getLogger("agentbus")
_PORTS = {"http": 80, "https": 443}

Request = TypeVar("Request", bound="ProtoMessage")
Response = TypeVar("Response", bound="ProtoMessage")
Result = TypeVar("Result")

# Reconnecting is this package's own work, with its own pauses: so gRPC shall try at once when asked, and two buses in
# one program share no connection.
_CHANNEL_OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.keepalive_permit_without_calls", 0),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    ("grpc.enable_retries", 0),
    ("grpc.use_local_subchannel_pool", 1),
)


class Endpoint:
    """One address of the bus, with its raw stubs."""

    def __init__(
        self, url: str, credentials: grpc.ChannelCredentials | None, max_response_bytes: int, link: Link
    ) -> None:
        self.url = url
        target, secure = parse_url(url)
        options = [
            *_CHANNEL_OPTIONS,
            ("grpc.max_receive_message_length", max_response_bytes),
            ("grpc.keepalive_time_ms", round(link.ping_interval * 1000)),
            ("grpc.keepalive_timeout_ms", round(link.ping_timeout * 1000)),
            # Newer versions of gRPC wait for the answer to a PING by this one, whose default is a minute.
            ("grpc.http2.ping_timeout_ms", round(link.ping_timeout * 1000)),
            # The least pause is also how long opening a connection may take.
            ("grpc.min_reconnect_backoff_ms", round(link.ping_timeout * 1000)),
        ]
        self.channel: grpc.aio.Channel = (
            grpc.aio.secure_channel(target, credentials or grpc.ssl_channel_credentials(), options=options)
            if secure
            else grpc.aio.insecure_channel(target, options=options)
        )
        self.bus = BusServiceStub(self.channel)
        self.agents = AgentServiceStub(self.channel)
        self.rooms = RoomServiceStub(self.channel)
        self.admin = AdminServiceStub(self.channel)


class Connection:
    """Knows which address is in use, and makes unary calls. Belongs to one event loop from its first call on."""

    def __init__(
        self,
        urls: Sequence[str],
        *,
        api_key: str | Callable[[], str] | None,
        credentials: grpc.ChannelCredentials | None,
        link: Link,
        max_response_bytes: int,
        warn: Callable[[str], None] | None = None,
    ) -> None:
        """`warn`: told what a person should know. None: the log `agentbus`."""
        if not urls:
            raise ValueError("at least one URL is needed")
        for url in urls:
            parse_url(url)
        self._addresses = Addresses(urls)
        self._credentials = credentials
        self._max_response_bytes = max_response_bytes
        self._link = link
        self.timeout = link.call_timeout
        """How long a call may take, in seconds."""
        self._endpoints: dict[str, Endpoint] = {}
        self._closed = False
        self._told_of_trouble = False
        self._api_key = api_key
        self.warn: Callable[[str], None] = warn or logger.warning
        """Tells a person what no code asked for."""

    @property
    def url(self) -> str:
        """The address in use."""
        return self._addresses.url

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What every call carries. The key is asked for each time, so that it can change."""
        key = self._api_key() if callable(self._api_key) else self._api_key
        return (("authorization", f"Bearer {key}"),) if key else ()

    def endpoint(self) -> Endpoint:
        """The address in use. Raises ClosedError after close()."""
        if self._closed:
            raise ClosedError("bus")
        endpoint = self._endpoints.get(self.url)
        if endpoint is None:
            endpoint = Endpoint(self.url, self._credentials, self._max_response_bytes, self._link)
            self._endpoints[self.url] = endpoint
        return endpoint

    def failed(self, endpoint: Endpoint, error: BusError) -> None:
        """Says that an attempt failed. Another address is used, if there is one and the failure is of the server, or of
        its way to the storage, and not of the request.
        """
        if _is_of_server(error):
            self.left(endpoint)

    def left(self, endpoint: Endpoint) -> None:
        """Says that a server is leaving."""
        self._addresses.failed(endpoint.url)

    def moves_on(self, error: BusError) -> bool:
        """Whether this failure is met by going to another address."""
        return error.retry == "RECONNECT" or (len(self._addresses) > 1 and _is_of_server(error))

    def reached(self, endpoint: Endpoint) -> None:
        """Says that a server answered."""
        self._addresses.worked(endpoint.url)
        self._told_of_trouble = False

    def keeps_failing(self, what: str, error: BusError) -> None:
        """Says that what is tried without end keeps failing: people hear of it, once until the bus answers."""
        if not self._told_of_trouble:
            self._told_of_trouble = True
            self.warn(f"{what} fails again and again ({error}); going on trying, now {self.url}")

    def backoff(self) -> Backoff:
        """The pauses of one stream or call."""
        return Backoff(self._link.backoff, len(self._addresses))

    def answer_timeout(self, failures: int) -> float:
        """How long an answer to a publish may take after so many failures in a row, in seconds."""
        attempt, call = self._link.attempt_timeout, self._link.call_timeout
        if len(self._addresses) == 1:
            return call
        # A bus that is slow for everyone must not be asked the same again and again, each time before it could answer.
        return min(attempt * 2.0 ** min(failures, 16), max(attempt, call))

    async def call(
        self,
        choose: Callable[[Endpoint], grpc.aio.UnaryUnaryMultiCallable[Request, Response]],
        request: Request,
        *,
        timeout: float | None = None,
        wait: float = 0.0,
        retries: float | None = None,
        what: str | None = None,
    ) -> Response:
        """Makes a call, again when that can help, and at another address when one does not answer in time. `timeout`:
        of all attempts together, in seconds (default: the bus's). `wait`: how long the bus is asked to wait before it
        answers. `retries`: default: the bus's; 0: for calls that must not be carried out twice, which are given all of
        the time. `what`: what the call does, for people; None: it is soon over, and its caller is told by its error.
        Raises BusError.
        """
        loop = asyncio.get_running_loop()
        whole = self.timeout if timeout is None else timeout
        deadline = loop.time() + whole
        left = self._link.max_retries if retries is None else retries
        backoff = self.backoff()
        row = FailureRow()
        row.begin()
        while True:
            endpoint = self.endpoint()
            remaining = deadline - loop.time()
            try:
                limit = remaining if retries == 0 else self._attempt_limit(remaining, whole, wait)
                response = await self._attempt(choose(endpoint), request, limit)
            except BusError as error:
                self.failed(endpoint, error)
                pause = max(error.retry_delay or 0, backoff.next())
                if error.retry == "NEVER" or left <= 0 or loop.time() + pause >= deadline:
                    raise
                left -= 1
                if row.add() and what is not None:
                    self.keeps_failing(what, error)
            else:
                self.reached(endpoint)
                return response
            await asyncio.sleep(pause)

    def _attempt_limit(self, remaining: float, whole: float, wait: float) -> float:
        """How long one attempt may take of what is left of the whole time; infinite: as long as it takes."""
        most = remaining if math.isfinite(remaining) else wait + self._link.call_timeout
        if len(self._addresses) == 1:
            return most
        # Half of the whole, so that another address gets its turn even when the caller is in a hurry.
        return min(most, wait + min(self._link.attempt_timeout, (whole - wait) / 2))

    async def _attempt(
        self, method: grpc.aio.UnaryUnaryMultiCallable[Request, Response], request: Request, timeout: float
    ) -> Response:
        call = method(request, timeout=timeout, metadata=self.metadata)
        task = asyncio.ensure_future(_finished(call))
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            call.cancel()
            raise
        return outcome(task)

    async def close(self) -> None:
        """Ends every call. Closing twice is OK."""
        self._closed = True
        endpoints, self._endpoints = self._endpoints, {}
        await asyncio.gather(*(endpoint.channel.close() for endpoint in endpoints.values()))


def _is_of_server(error: BusError) -> bool:
    """Whether another server may do better: this one is gone or leaving, does not answer in time, or lost its
    storage.
    """
    return error.retry == "RECONNECT" or (error.retry == "SAME" and error.reason in ("STORAGE_UNAVAILABLE", "DEADLINE"))


def parse_url(url: str) -> tuple[str, bool]:
    """The gRPC target of an http, https or unix URL, and whether it wants TLS. Raises ValueError."""
    parts = urlsplit(url if "://" in url or url.startswith("unix:") else f"http://{url}")
    if parts.scheme == "unix":
        return url, False
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ValueError(f"{url!r} is not a URL of the bus: it must look like {DEFAULT_URL} or https://bus.example.org")
    if parts.path not in ("", "/") or parts.query or parts.fragment or parts.username:
        raise ValueError(f"{url!r} must hold no more than scheme, host and port")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{host}:{parts.port or _PORTS[parts.scheme]}", parts.scheme == "https"


def outcome(task: asyncio.Future[Result]) -> Result:
    """The result of a finished task that made one step of a call. Raises BusError.

    The step runs in a task of its own for two reasons: cancelling a pending read would cancel the whole call, and when
    a call is cancelled, as closing the bus does with all of them, gRPC cancels who reads it as well.
    """
    if task.cancelled():
        raise BusError("the call was cancelled", code="CANCELLED")
    try:
        return task.result()
    except grpc.aio.AioRpcError as error:
        raise from_rpc_error(error) from None
    except (grpc.aio.UsageError, asyncio.InvalidStateError) as error:
        raise BusError(f"the call has ended: {error}", code="UNAVAILABLE") from error


async def _finished(call: grpc.aio.UnaryUnaryCall[Request, Response]) -> Response:
    return await call
