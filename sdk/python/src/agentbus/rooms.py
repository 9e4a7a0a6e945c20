"""Rooms: made, changed, watched."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from .channel_settings import SETTINGS, ChannelSettings, RoomSettings, make_settings
from .connection import Connection
from .envelope import refuse_unknown, word
from .events import Cut
from .reconnecting_stream import ReconnectingStream
from .v1 import room_pb2, room_service_pb2

if TYPE_CHECKING:
    from typing_extensions import Unpack


@dataclass(frozen=True)
class RoomChange:
    """One thing that happened in a room."""

    change: str
    """One of "room_updated", "room_deleted", "channel_created", "channel_updated", "channel_deleted",
    "member_joined" or "member_left"."""
    channel: str | None
    """Written "room:channel"; None: the room itself."""
    agent_id: str | None
    """Who joined or left."""


class Rooms:
    """`bus.rooms`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def create(self, room: str, **options: Unpack[RoomSettings]) -> room_pb2.Room:
        """Creates a room. The same again is OK; another configuration is ROOM_EXISTS."""
        request = room_service_pb2.CreateRoomRequest(room=_make_room(room, options))
        return (await self._connection.call(lambda to: to.rooms.CreateRoom, request)).room

    async def update(self, room: str, **options: Unpack[RoomSettings]) -> room_service_pb2.UpdateRoomResponse:
        """Changes what is given. The answer names, for each channel whose routing changed
        with it, the position behind which it holds.
        """
        request = room_service_pb2.UpdateRoomRequest(room=_make_room(room, options))
        request.update_mask.paths.extend(f"defaults.{part}" if part in SETTINGS else part for part in options)
        return await self._connection.call(lambda to: to.rooms.UpdateRoom, request)

    async def get(self, room: str) -> room_pb2.Room:
        """Reads one room."""
        request = room_service_pb2.GetRoomRequest(room=room)
        return (await self._connection.call(lambda to: to.rooms.GetRoom, request)).room

    async def list(self, pattern: str = "") -> AsyncIterator[room_pb2.Room]:
        """Iterates over all rooms, or those that fit a pattern as "lab.*", by name."""
        request = room_service_pb2.ListRoomsRequest(pattern=pattern)
        while True:
            page = await self._connection.call(lambda to: to.rooms.ListRooms, request)
            for room in page.rooms:
                yield room
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def delete(self, room: str, *, force: bool = False) -> None:
        """Deletes a room. `force`: with its channels and all their messages. Not sent again by itself: a second attempt
        after a lost answer would say ROOM_NOT_FOUND.
        """
        request = room_service_pb2.DeleteRoomRequest(room=room, force=force)
        await self._connection.call(lambda to: to.rooms.DeleteRoom, request, retries=0)

    async def watch(self, room: str) -> AsyncIterator[RoomChange]:
        """Tells what happens in a room until it is deleted. What happens while the connection is lost is not told."""
        request = room_service_pb2.WatchRoomRequest(room=room)
        stream = ReconnectingStream(
            self._connection,
            f"watch of room {room}",
            lambda to: to.rooms.WatchRoom(request, metadata=self._connection.metadata),
            lambda: None,
        )
        try:
            while True:
                response = await stream.next()
                if isinstance(response, Cut):
                    continue
                for change in response.changes:
                    kind = word(room_service_pb2.RoomChangeKind, "ROOM_CHANGE_KIND_", change.kind)
                    channel = f"{room}:{change.channel}" if change.channel else None
                    yield RoomChange(kind, channel, change.agent_id or None)
                    if change.kind == room_service_pb2.ROOM_CHANGE_KIND_ROOM_DELETED:
                        return
        finally:
            stream.close()


def _make_room(name: str, options: RoomSettings) -> room_pb2.Room:
    refuse_unknown("room", options, RoomSettings.__optional_keys__)
    room = room_pb2.Room(room=name, description=options.get("description", ""), metadata=options.get("metadata", {}))
    defaults = {part: value for part, value in options.items() if part in SETTINGS}
    if defaults:
        room.defaults.CopyFrom(make_settings(cast("ChannelSettings", defaults)))
    if (auto_create := options.get("auto_create_channels")) is not None:
        room.auto_create_channels = auto_create
    return room
