"""The bus, for plain code."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING

from .. import bus as core
from ..connection import DEFAULT_URL
from ..v1 import admin_service_pb2
from .agent import Agent
from .directory import Agents, Channels, Rooms
from .loop_thread import LoopThread

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ..bus import BusOptions
    from ..options import Profile


class AgentBus:
    """A client of the bus. See `agentbus.AgentBus`: the same words, and each waits until it is done.

    >>> with AgentBus("http://127.0.0.1:7400") as bus:
    ...     alice = bus.agent("alice")
    ...     alice.join("science:explore")
    ...     alice.send("hi")
    """

    def __init__(self, url: str | Sequence[str] = DEFAULT_URL, **options: Unpack[BusOptions]) -> None:
        self._core = core.AgentBus(url, **options)
        self._loop = LoopThread()
        self.rooms = Rooms(self._loop, self._core.rooms)
        """Rooms: create, update, get, list, delete, watch."""
        self.channels = Channels(self._loop, self._core.channels)
        """Channels: create, update, get, list, delete, members."""
        self.agents = Agents(self._loop, self._core.agents)
        """Agents: get, list, delete, watch."""

    @property
    def url(self) -> str:
        """The address that calls go to now."""
        return self._core.url

    def agent(self, agent_id: str, **profile: Unpack[Profile]) -> Agent:
        """Speaks and listens as this agent."""

        async def agent() -> Agent:
            return Agent(self._loop, self._core.agent(agent_id, **profile))

        return self._loop.run(agent())

    def ping(self) -> admin_service_pb2.PingResponse:
        """Asks for a sign of life: the node that answered, and its clock."""
        return self._loop.run(self._core.ping())

    def info(self) -> admin_service_pb2.GetServerInfoResponse:
        """What the server is, can do and allows."""
        return self._loop.run(self._core.info())

    def status(self, *, max_channels: int = 0) -> admin_service_pb2.GetStatusResponse:
        """How the server is: nodes, agents, rooms, channels."""
        return self._loop.run(self._core.status(max_channels=max_channels))

    def close(self) -> None:
        """Closes every agent, the connection and the background thread. Closing twice is OK."""
        if self._closed:
            return
        self._closed = True
        try:
            self._loop.run(self._core.close())
        finally:
            self._loop.stop()

    def __enter__(self) -> AgentBus:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    _closed = False


def connect(url: str | Sequence[str] = DEFAULT_URL, **options: Unpack[BusOptions]) -> AgentBus:
    """An AgentBus that somebody answered to. Raises BusError when nobody does."""
    bus = AgentBus(url, **options)
    try:
        bus.ping()
    except BaseException:
        bus.close()
        raise
    return bus
