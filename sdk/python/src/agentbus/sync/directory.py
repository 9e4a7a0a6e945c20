"""Rooms, channels and agents, for plain code. See the classes of the same names in `agentbus`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from .. import agents as core_agents
from .. import channels as core_channels
from .. import rooms as core_rooms
from ..agents import AgentChange
from ..rooms import RoomChange
from ..v1 import agent_pb2, room_pb2, room_service_pb2
from .loop_thread import LoopThread

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ..channel_settings import ChannelInit, RoomSettings
    from ..options import AgentKindName, AgentStateName


class Rooms:
    """`bus.rooms`."""

    def __init__(self, loop: LoopThread, rooms: core_rooms.Rooms) -> None:
        self._loop = loop
        self._core = rooms

    def create(self, room: str, **options: Unpack[RoomSettings]) -> room_pb2.Room:
        """Creates a room. The same again is OK."""
        return self._loop.run(self._core.create(room, **options))

    def update(self, room: str, **options: Unpack[RoomSettings]) -> room_service_pb2.UpdateRoomResponse:
        """Changes what is given."""
        return self._loop.run(self._core.update(room, **options))

    def get(self, room: str) -> room_pb2.Room:
        """Reads one room."""
        return self._loop.run(self._core.get(room))

    def list(self, pattern: str = "") -> Iterator[room_pb2.Room]:
        """Iterates over all rooms, or those that fit a pattern, by name."""
        return self._loop.iterate(self._core.list(pattern))

    def delete(self, room: str, *, force: bool = False) -> None:
        """Deletes a room. `force`: with its channels and all their messages."""
        self._loop.run(self._core.delete(room, force=force))

    def watch(self, room: str) -> Iterator[RoomChange]:
        """Tells what happens in a room until it is deleted."""
        return self._loop.iterate(self._core.watch(room))


class Channels:
    """`bus.channels`."""

    def __init__(self, loop: LoopThread, channels: core_channels.Channels) -> None:
        self._loop = loop
        self._core = channels

    def create(self, channel: str, *, create_room: bool = False, **options: Unpack[ChannelInit]) -> room_pb2.Channel:
        """Creates a channel. `create_room`: and its room when it does not exist."""
        return self._loop.run(self._core.create(channel, create_room=create_room, **options))

    def update(self, channel: str, **options: Unpack[ChannelInit]) -> room_service_pb2.UpdateChannelResponse:
        """Changes what is given."""
        return self._loop.run(self._core.update(channel, **options))

    def get(self, channel: str) -> room_pb2.Channel:
        """Reads one channel."""
        return self._loop.run(self._core.get(channel))

    def list(self, *, room: str = "", pattern: str = "") -> Iterator[room_pb2.Channel]:
        """Iterates over all channels, those of a room, or those that fit a pattern, by name."""
        return self._loop.iterate(self._core.list(room=room, pattern=pattern))

    def delete(self, channel: str) -> None:
        """Deletes a channel and its messages."""
        self._loop.run(self._core.delete(channel))

    def members(self, channel: str) -> Iterator[room_pb2.Member]:
        """Iterates over those who joined, by id."""
        return self._loop.iterate(self._core.members(channel))


class Agents:
    """`bus.agents`."""

    def __init__(self, loop: LoopThread, agents: core_agents.Agents) -> None:
        self._loop = loop
        self._core = agents

    def get(self, agent_id: str) -> agent_pb2.Agent:
        """Reads one agent."""
        return self._loop.run(self._core.get(agent_id))

    def list(
        self,
        *,
        kinds: Sequence[AgentKindName] = (),
        states: Sequence[AgentStateName] = (),
        group: str = "",
        capabilities: Sequence[str] = (),
        labels: Mapping[str, str] | None = None,
    ) -> Iterator[agent_pb2.Agent]:
        """Iterates over the agents that fit everything that is given, by id."""
        agents = self._core.list(kinds=kinds, states=states, group=group, capabilities=capabilities, labels=labels)
        return self._loop.iterate(agents)

    def delete(self, agent_id: str) -> None:
        """Forgets an agent with its memberships and its inbox."""
        self._loop.run(self._core.delete(agent_id))

    def watch(self, agent_ids: Sequence[str] = (), *, skip_current: bool = False) -> Iterator[AgentChange]:
        """Tells of agents as they come, change and go."""
        return self._loop.iterate(self._core.watch(agent_ids, skip_current=skip_current))
