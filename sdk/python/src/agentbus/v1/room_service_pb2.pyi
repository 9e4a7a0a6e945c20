from agentbus.v1 import room_pb2 as _room_pb2
from google.protobuf import field_mask_pb2 as _field_mask_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class RoomChangeKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ROOM_CHANGE_KIND_UNSPECIFIED: _ClassVar[RoomChangeKind]
    ROOM_CHANGE_KIND_ROOM_UPDATED: _ClassVar[RoomChangeKind]
    ROOM_CHANGE_KIND_ROOM_DELETED: _ClassVar[RoomChangeKind]
    ROOM_CHANGE_KIND_CHANNEL_CREATED: _ClassVar[RoomChangeKind]
    ROOM_CHANGE_KIND_CHANNEL_UPDATED: _ClassVar[RoomChangeKind]
    ROOM_CHANGE_KIND_CHANNEL_DELETED: _ClassVar[RoomChangeKind]
    ROOM_CHANGE_KIND_MEMBER_JOINED: _ClassVar[RoomChangeKind]
    ROOM_CHANGE_KIND_MEMBER_LEFT: _ClassVar[RoomChangeKind]
ROOM_CHANGE_KIND_UNSPECIFIED: RoomChangeKind
ROOM_CHANGE_KIND_ROOM_UPDATED: RoomChangeKind
ROOM_CHANGE_KIND_ROOM_DELETED: RoomChangeKind
ROOM_CHANGE_KIND_CHANNEL_CREATED: RoomChangeKind
ROOM_CHANGE_KIND_CHANNEL_UPDATED: RoomChangeKind
ROOM_CHANGE_KIND_CHANNEL_DELETED: RoomChangeKind
ROOM_CHANGE_KIND_MEMBER_JOINED: RoomChangeKind
ROOM_CHANGE_KIND_MEMBER_LEFT: RoomChangeKind

class CreateRoomRequest(_message.Message):
    __slots__ = ("room",)
    ROOM_FIELD_NUMBER: _ClassVar[int]
    room: _room_pb2.Room
    def __init__(self, room: _Optional[_Union[_room_pb2.Room, _Mapping]] = ...) -> None: ...

class CreateRoomResponse(_message.Message):
    __slots__ = ("room", "created")
    ROOM_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    room: _room_pb2.Room
    created: bool
    def __init__(self, room: _Optional[_Union[_room_pb2.Room, _Mapping]] = ..., created: bool = ...) -> None: ...

class UpdateRoomRequest(_message.Message):
    __slots__ = ("room", "update_mask")
    ROOM_FIELD_NUMBER: _ClassVar[int]
    UPDATE_MASK_FIELD_NUMBER: _ClassVar[int]
    room: _room_pb2.Room
    update_mask: _field_mask_pb2.FieldMask
    def __init__(self, room: _Optional[_Union[_room_pb2.Room, _Mapping]] = ..., update_mask: _Optional[_Union[_field_mask_pb2.FieldMask, _Mapping]] = ...) -> None: ...

class UpdateRoomResponse(_message.Message):
    __slots__ = ("room", "effective_positions")
    ROOM_FIELD_NUMBER: _ClassVar[int]
    EFFECTIVE_POSITIONS_FIELD_NUMBER: _ClassVar[int]
    room: _room_pb2.Room
    effective_positions: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, room: _Optional[_Union[_room_pb2.Room, _Mapping]] = ..., effective_positions: _Optional[_Iterable[str]] = ...) -> None: ...

class GetRoomRequest(_message.Message):
    __slots__ = ("room",)
    ROOM_FIELD_NUMBER: _ClassVar[int]
    room: str
    def __init__(self, room: _Optional[str] = ...) -> None: ...

class GetRoomResponse(_message.Message):
    __slots__ = ("room",)
    ROOM_FIELD_NUMBER: _ClassVar[int]
    room: _room_pb2.Room
    def __init__(self, room: _Optional[_Union[_room_pb2.Room, _Mapping]] = ...) -> None: ...

class ListRoomsRequest(_message.Message):
    __slots__ = ("pattern", "page_size", "page_token")
    PATTERN_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    pattern: str
    page_size: int
    page_token: str
    def __init__(self, pattern: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListRoomsResponse(_message.Message):
    __slots__ = ("rooms", "next_page_token")
    ROOMS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    rooms: _containers.RepeatedCompositeFieldContainer[_room_pb2.Room]
    next_page_token: str
    def __init__(self, rooms: _Optional[_Iterable[_Union[_room_pb2.Room, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class DeleteRoomRequest(_message.Message):
    __slots__ = ("room", "force")
    ROOM_FIELD_NUMBER: _ClassVar[int]
    FORCE_FIELD_NUMBER: _ClassVar[int]
    room: str
    force: bool
    def __init__(self, room: _Optional[str] = ..., force: bool = ...) -> None: ...

class DeleteRoomResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class CreateChannelRequest(_message.Message):
    __slots__ = ("channel", "create_room")
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    CREATE_ROOM_FIELD_NUMBER: _ClassVar[int]
    channel: _room_pb2.Channel
    create_room: bool
    def __init__(self, channel: _Optional[_Union[_room_pb2.Channel, _Mapping]] = ..., create_room: bool = ...) -> None: ...

class CreateChannelResponse(_message.Message):
    __slots__ = ("channel", "created")
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    channel: _room_pb2.Channel
    created: bool
    def __init__(self, channel: _Optional[_Union[_room_pb2.Channel, _Mapping]] = ..., created: bool = ...) -> None: ...

class UpdateChannelRequest(_message.Message):
    __slots__ = ("channel", "update_mask")
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    UPDATE_MASK_FIELD_NUMBER: _ClassVar[int]
    channel: _room_pb2.Channel
    update_mask: _field_mask_pb2.FieldMask
    def __init__(self, channel: _Optional[_Union[_room_pb2.Channel, _Mapping]] = ..., update_mask: _Optional[_Union[_field_mask_pb2.FieldMask, _Mapping]] = ...) -> None: ...

class UpdateChannelResponse(_message.Message):
    __slots__ = ("channel", "effective_position")
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    EFFECTIVE_POSITION_FIELD_NUMBER: _ClassVar[int]
    channel: _room_pb2.Channel
    effective_position: str
    def __init__(self, channel: _Optional[_Union[_room_pb2.Channel, _Mapping]] = ..., effective_position: _Optional[str] = ...) -> None: ...

class GetChannelRequest(_message.Message):
    __slots__ = ("room", "channel")
    ROOM_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    room: str
    channel: str
    def __init__(self, room: _Optional[str] = ..., channel: _Optional[str] = ...) -> None: ...

class GetChannelResponse(_message.Message):
    __slots__ = ("channel",)
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    channel: _room_pb2.Channel
    def __init__(self, channel: _Optional[_Union[_room_pb2.Channel, _Mapping]] = ...) -> None: ...

class ListChannelsRequest(_message.Message):
    __slots__ = ("room", "pattern", "page_size", "page_token")
    ROOM_FIELD_NUMBER: _ClassVar[int]
    PATTERN_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    room: str
    pattern: str
    page_size: int
    page_token: str
    def __init__(self, room: _Optional[str] = ..., pattern: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListChannelsResponse(_message.Message):
    __slots__ = ("channels", "next_page_token")
    CHANNELS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    channels: _containers.RepeatedCompositeFieldContainer[_room_pb2.Channel]
    next_page_token: str
    def __init__(self, channels: _Optional[_Iterable[_Union[_room_pb2.Channel, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class DeleteChannelRequest(_message.Message):
    __slots__ = ("room", "channel")
    ROOM_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    room: str
    channel: str
    def __init__(self, room: _Optional[str] = ..., channel: _Optional[str] = ...) -> None: ...

class DeleteChannelResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class JoinChannelRequest(_message.Message):
    __slots__ = ("agent_id", "room", "channel")
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    ROOM_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    agent_id: str
    room: str
    channel: str
    def __init__(self, agent_id: _Optional[str] = ..., room: _Optional[str] = ..., channel: _Optional[str] = ...) -> None: ...

class JoinChannelResponse(_message.Message):
    __slots__ = ("channel", "joined")
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    JOINED_FIELD_NUMBER: _ClassVar[int]
    channel: _room_pb2.Channel
    joined: bool
    def __init__(self, channel: _Optional[_Union[_room_pb2.Channel, _Mapping]] = ..., joined: bool = ...) -> None: ...

class LeaveChannelRequest(_message.Message):
    __slots__ = ("agent_id", "room", "channel")
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    ROOM_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    agent_id: str
    room: str
    channel: str
    def __init__(self, agent_id: _Optional[str] = ..., room: _Optional[str] = ..., channel: _Optional[str] = ...) -> None: ...

class LeaveChannelResponse(_message.Message):
    __slots__ = ("left",)
    LEFT_FIELD_NUMBER: _ClassVar[int]
    left: bool
    def __init__(self, left: bool = ...) -> None: ...

class ListMembersRequest(_message.Message):
    __slots__ = ("room", "channel", "page_size", "page_token")
    ROOM_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    room: str
    channel: str
    page_size: int
    page_token: str
    def __init__(self, room: _Optional[str] = ..., channel: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListMembersResponse(_message.Message):
    __slots__ = ("members", "next_page_token")
    MEMBERS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    members: _containers.RepeatedCompositeFieldContainer[_room_pb2.Member]
    next_page_token: str
    def __init__(self, members: _Optional[_Iterable[_Union[_room_pb2.Member, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class WatchRoomRequest(_message.Message):
    __slots__ = ("room",)
    ROOM_FIELD_NUMBER: _ClassVar[int]
    room: str
    def __init__(self, room: _Optional[str] = ...) -> None: ...

class WatchRoomResponse(_message.Message):
    __slots__ = ("changes",)
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    changes: _containers.RepeatedCompositeFieldContainer[RoomChange]
    def __init__(self, changes: _Optional[_Iterable[_Union[RoomChange, _Mapping]]] = ...) -> None: ...

class RoomChange(_message.Message):
    __slots__ = ("kind", "channel", "agent_id")
    KIND_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    kind: RoomChangeKind
    channel: str
    agent_id: str
    def __init__(self, kind: _Optional[_Union[RoomChangeKind, str]] = ..., channel: _Optional[str] = ..., agent_id: _Optional[str] = ...) -> None: ...
