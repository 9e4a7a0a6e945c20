"""The bus, as a client sees it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING

from .agent import Agent, AgentSettings
from .agents import Agents
from .channels import Channels
from .connection import DEFAULT_URL, Connection, Endpoint
from .link_options import LinkOptions, resolve_link_options
from .options import Profile, Seconds
from .positions import MemoryPositionStore, PositionStore
from .rooms import Rooms
from .time_values import to_seconds
from .v1 import admin_service_pb2

if TYPE_CHECKING:
    import grpc
    from typing_extensions import Unpack


class BusOptions(LinkOptions, total=False):
    """How to talk to the bus. Every key is optional."""

    api_key: str | Callable[[], str] | None
    """Sent with every call as a bearer token; a function is asked each time, so that keys can change. Default: none."""
    credentials: grpc.ChannelCredentials | None
    """For https URLs: `grpc.ssl_channel_credentials(...)`. Default: the system's certificates, no client
    certificate."""
    positions: PositionStore
    """Where subscriptions with a `name` keep how far they read. Default: memory."""
    send_timeout: Seconds | None
    """How long `send` tries. Default: 60 s; None: without end. See `send`."""
    close_timeout: Seconds
    """How long closing waits for what is being sent. Default: 10 s."""
    on_warning: Callable[[str], None]
    """Told what people should know and no code asked for: messages that are gone and no `on_gap` took; what is tried
    again and again, once until the bus answers, after four failures in a row or one that took a second. Must neither
    block nor raise. Default: a warning in the log `agentbus`; `lambda _: None` for silence. Nothing else is written
    anywhere."""
    max_outstanding_messages: int
    """How many messages of one agent may be without an answer; `send` waits for room. Default: 1,000."""
    max_outstanding_bytes: int
    """The same in bytes. Default: 8 MiB."""
    max_request_bytes: int
    """The server's `limits.requestBytes`; a message that would not fit is refused here. Default: 2 MiB."""
    max_response_bytes: int
    """The largest response that is taken; servers send at most 1 MiB and one message. Default: 16 MiB."""


class AgentBus:
    """A client of the bus at one or several addresses, which are tried in turn.

    >>> async with AgentBus("http://127.0.0.1:7400") as bus:
    ...     alice = bus.agent("alice")
    ...     await alice.join("science:explore")
    ...     await alice.send("hi")

    Nothing is connected before the first call. Belongs to the event loop of its first call.
    """

    def __init__(self, url: str | Sequence[str] = DEFAULT_URL, **options: Unpack[BusOptions]) -> None:
        """`url`: "http://host:port", "https://host" (TLS), "unix:/path", or several of them: one is used at a
        time, the next one when it fails, and one that failed is the last choice for 5 s, doubled up to a minute while
        it goes on failing. Raises ValueError.
        """
        unknown = options.keys() - BusOptions.__optional_keys__
        if unknown:
            raise TypeError(f"AgentBus has no option {min(unknown)!r}")
        send_timeout = options.get("send_timeout", 60.0)
        self._connection = Connection(
            [url] if isinstance(url, str) else url,
            api_key=options.get("api_key"),
            credentials=options.get("credentials"),
            link=resolve_link_options(options),
            max_response_bytes=options.get("max_response_bytes", 16_777_216),
            warn=options.get("on_warning"),
        )
        self._open: dict[str, Agent] = {}
        self._settings = AgentSettings(
            send_timeout=None if send_timeout is None else to_seconds(send_timeout),
            max_outstanding_messages=_at_least_one("max_outstanding_messages", options, 1_000),
            max_outstanding_bytes=_at_least_one("max_outstanding_bytes", options, 8_388_608),
            max_request_bytes=_at_least_one("max_request_bytes", options, 2_097_152),
            close_timeout=to_seconds(options.get("close_timeout", 10.0)),
            positions=options.get("positions", MemoryPositionStore()),
            forget=self._forget,
        )
        self.rooms = Rooms(self._connection)
        """Rooms: create, update, get, list, delete, watch."""
        self.channels = Channels(self._connection)
        """Channels: create, update, get, list, delete, members."""
        self.agents = Agents(self._connection)
        """Agents: get, list, delete, watch."""

    @property
    def url(self) -> str:
        """The address that calls go to now."""
        return self._connection.url

    @property
    def clients(self) -> Endpoint:
        """The raw stubs of the address in use: `bus.clients.bus.Publish(request, metadata=bus.metadata)`. They do not
        retry, and raise grpc.aio.AioRpcError.
        """
        return self._connection.endpoint()

    @property
    def metadata(self) -> Sequence[tuple[str, str]]:
        """What the raw stubs must be given for the API key to be sent."""
        return self._connection.metadata

    def agent(self, agent_id: str, **profile: Unpack[Profile]) -> Agent:
        """Speaks and listens as this agent. The same id gives the same Agent until that is closed. A profile that is
        given is registered before the agent's first operation; give it the first time, later use `agent.register` or
        `agent.update`.
        """
        if not agent_id:
            raise ValueError("an agent needs an id")
        known = self._open.get(agent_id)
        if known is None:
            known = self._open[agent_id] = Agent(agent_id, self._connection, self._settings, profile)
        elif profile:
            raise ValueError(f"agent {agent_id} is in use: change its profile with register or update")
        return known

    async def ping(self) -> admin_service_pb2.PingResponse:
        """Asks for a sign of life: the node that answered, and its clock."""
        return await self._connection.call(lambda to: to.admin.Ping, admin_service_pb2.PingRequest())

    async def info(self) -> admin_service_pb2.GetServerInfoResponse:
        """What the server is, can do and allows."""
        return await self._connection.call(lambda to: to.admin.GetServerInfo, admin_service_pb2.GetServerInfoRequest())

    async def status(self, *, max_channels: int = 0) -> admin_service_pb2.GetStatusResponse:
        """How the server is: nodes, agents, rooms, channels. `max_channels`: how many of the busiest channels are
        named; 0 (default): 20, at most 1,000.
        """
        request = admin_service_pb2.GetStatusRequest(max_channels=max_channels)
        return await self._connection.call(lambda to: to.admin.GetStatus, request)

    async def close(self) -> None:
        """Closes every agent, waiting up to `close_timeout` for what is being sent, then the connection."""
        try:
            await asyncio.gather(*(agent.close() for agent in list(self._open.values())))
        finally:
            await self._connection.close()

    def _forget(self, agent: Agent) -> None:
        self._open.pop(agent.id, None)

    async def __aenter__(self) -> AgentBus:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


async def connect(url: str | Sequence[str] = DEFAULT_URL, **options: Unpack[BusOptions]) -> AgentBus:
    """An AgentBus that somebody answered to. Raises BusError when nobody does."""
    bus = AgentBus(url, **options)
    try:
        await bus.ping()
    except BaseException:
        await bus.close()
        raise
    return bus


def _at_least_one(name: str, options: BusOptions, default: int) -> int:
    value = options.get(name, default)
    if not isinstance(value, int) or value < 1:
        raise ValueError(f"{name} must be at least 1, not {value!r}")
    return value
