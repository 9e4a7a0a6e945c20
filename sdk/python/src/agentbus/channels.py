"""Channels: made, changed, and who is in them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, cast

from .channel_settings import SETTINGS, ChannelInit, ChannelSettings, make_settings
from .connection import Connection
from .envelope import refuse_unknown, split_channel
from .v1 import room_pb2, room_service_pb2

if TYPE_CHECKING:
    from typing_extensions import Unpack


class Channels:
    """`bus.channels`. Channels are written "room:channel"."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def create(
        self, channel: str, *, create_room: bool = False, **options: Unpack[ChannelInit]
    ) -> room_pb2.Channel:
        """Creates a channel. `create_room`: and its room when it does not exist. The same again is OK; another
        configuration is CHANNEL_EXISTS.
        """
        request = room_service_pb2.CreateChannelRequest(
            channel=_make_channel(channel, options), create_room=create_room
        )
        return (await self._connection.call(lambda to: to.rooms.CreateChannel, request)).channel

    async def update(self, channel: str, **options: Unpack[ChannelInit]) -> room_service_pb2.UpdateChannelResponse:
        """Changes what is given. A changed routing holds for what is behind the `effective_position` of the answer."""
        request = room_service_pb2.UpdateChannelRequest(channel=_make_channel(channel, options))
        request.update_mask.paths.extend(f"config.{part}" if part in SETTINGS else part for part in options)
        return await self._connection.call(lambda to: to.rooms.UpdateChannel, request)

    async def get(self, channel: str) -> room_pb2.Channel:
        """Reads one channel."""
        room, name = split_channel(channel)
        request = room_service_pb2.GetChannelRequest(room=room, channel=name)
        return (await self._connection.call(lambda to: to.rooms.GetChannel, request)).channel

    async def list(self, *, room: str = "", pattern: str = "") -> AsyncIterator[room_pb2.Channel]:
        """Iterates over all channels, those of a room, or those that fit a pattern, by name. Inboxes are left out."""
        request = room_service_pb2.ListChannelsRequest(room=room, pattern=pattern)
        while True:
            page = await self._connection.call(lambda to: to.rooms.ListChannels, request)
            for channel in page.channels:
                yield channel
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def delete(self, channel: str) -> None:
        """Deletes a channel and its messages; streams that name it end with CHANNEL_DELETED. Not sent again by itself:
        a second attempt after a lost answer would say CHANNEL_NOT_FOUND.
        """
        room, name = split_channel(channel)
        request = room_service_pb2.DeleteChannelRequest(room=room, channel=name)
        await self._connection.call(lambda to: to.rooms.DeleteChannel, request, retries=0)

    async def members(self, channel: str) -> AsyncIterator[room_pb2.Member]:
        """Iterates over those who joined, by id."""
        room, name = split_channel(channel)
        request = room_service_pb2.ListMembersRequest(room=room, channel=name)
        while True:
            page = await self._connection.call(lambda to: to.rooms.ListMembers, request)
            for member in page.members:
                yield member
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token


def _make_channel(address: str, options: ChannelInit) -> room_pb2.Channel:
    refuse_unknown("channel", options, ChannelInit.__optional_keys__)
    room, name = split_channel(address)
    channel = room_pb2.Channel(
        room=room, channel=name, description=options.get("description", ""), metadata=options.get("metadata", {})
    )
    config = {part: value for part, value in options.items() if part in SETTINGS}
    if config:
        channel.config.CopyFrom(make_settings(cast("ChannelSettings", config)))
    return channel
