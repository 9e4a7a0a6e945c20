"""The way to the server: one or several addresses, tried in turn."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import urlsplit

import grpc
import grpc.aio

from .backoff import Backoff
from .error_details import from_rpc_error
from .errors import BusError, ClosedError
from .v1.admin_service_pb2_grpc import AdminServiceStub
from .v1.agent_service_pb2_grpc import AgentServiceStub
from .v1.bus_service_pb2_grpc import BusServiceStub
from .v1.room_service_pb2_grpc import RoomServiceStub

if TYPE_CHECKING:
    from google.protobuf.message import Message as ProtoMessage

DEFAULT_URL = "http://127.0.0.1:7400"
_PORTS = {"http": 80, "https": 443}

MAX_RETRIES: Final = 3
"""A call is repeated at most so often. Streams and the outbox go on for longer, each with its own rule."""

Request = TypeVar("Request", bound="ProtoMessage")
Response = TypeVar("Response", bound="ProtoMessage")
Result = TypeVar("Result")

# A peer that vanished without a word is noticed by a ping that is not answered. Reconnecting is this package's own
# work, with its own pauses: so gRPC shall try at once when asked, give an address 5 s and not 20, and two buses in one
# program share no connection.
_CHANNEL_OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 5_000),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    ("grpc.enable_retries", 0),
    ("grpc.use_local_subchannel_pool", 1),
)


class Endpoint:
    """One address of the bus, with its raw stubs."""

    def __init__(self, url: str, credentials: grpc.ChannelCredentials | None, max_response_bytes: int) -> None:
        self.url = url
        target, secure = parse_url(url)
        options = [*_CHANNEL_OPTIONS, ("grpc.max_receive_message_length", max_response_bytes)]
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
        timeout: float,
        max_response_bytes: int,
    ) -> None:
        if not urls:
            raise ValueError("at least one URL is needed")
        for url in urls:
            parse_url(url)
        self._urls = tuple(urls)
        self._credentials = credentials
        self._max_response_bytes = max_response_bytes
        self.timeout = timeout
        self._endpoints: dict[str, Endpoint] = {}
        self._current = 0
        self._closed = False
        self._api_key = api_key

    @property
    def url(self) -> str:
        """The address in use."""
        return self._urls[self._current]

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
            endpoint = self._endpoints[self.url] = Endpoint(self.url, self._credentials, self._max_response_bytes)
        return endpoint

    def failed(self, endpoint: Endpoint) -> None:
        """Says that an address does not work: the next one is used, unless somebody else said so already."""
        if self.url == endpoint.url:
            self._current = (self._current + 1) % len(self._urls)

    async def call(
        self,
        choose: Callable[[Endpoint], grpc.aio.UnaryUnaryMultiCallable[Request, Response]],
        request: Request,
        *,
        timeout: float | None = None,
        retries: float = MAX_RETRIES,
    ) -> Response:
        """Makes a call, again when that can help. `timeout`: of one attempt, in seconds (default: the bus's). Raises
        BusError.
        """
        limit = self.timeout if timeout is None else timeout
        backoff = Backoff()
        while True:
            endpoint = self.endpoint()
            try:
                return await self._attempt(choose(endpoint), request, limit)
            except BusError as error:
                if error.retry == "NEVER" or retries <= 0:
                    raise
                retries -= 1
                if error.retry == "RECONNECT":
                    self.failed(endpoint)
                pause = max(error.retry_delay or 0, backoff.next())
            await asyncio.sleep(pause)

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
