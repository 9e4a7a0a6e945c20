import datetime

from agentbus.v1 import message_pb2 as _message_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class RoutingStrategy(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ROUTING_STRATEGY_UNSPECIFIED: _ClassVar[RoutingStrategy]
    ROUTING_STRATEGY_BROADCAST: _ClassVar[RoutingStrategy]
    ROUTING_STRATEGY_SUBGROUP: _ClassVar[RoutingStrategy]
    ROUTING_STRATEGY_INDIVIDUAL: _ClassVar[RoutingStrategy]
    ROUTING_STRATEGY_CAPABILITY: _ClassVar[RoutingStrategy]
    ROUTING_STRATEGY_ROUND_ROBIN: _ClassVar[RoutingStrategy]
    ROUTING_STRATEGY_CUSTOM: _ClassVar[RoutingStrategy]

class Durability(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DURABILITY_UNSPECIFIED: _ClassVar[Durability]
    DURABILITY_VOLATILE: _ClassVar[Durability]
    DURABILITY_STORED: _ClassVar[Durability]
    DURABILITY_SYNCED: _ClassVar[Durability]
ROUTING_STRATEGY_UNSPECIFIED: RoutingStrategy
ROUTING_STRATEGY_BROADCAST: RoutingStrategy
ROUTING_STRATEGY_SUBGROUP: RoutingStrategy
ROUTING_STRATEGY_INDIVIDUAL: RoutingStrategy
ROUTING_STRATEGY_CAPABILITY: RoutingStrategy
ROUTING_STRATEGY_ROUND_ROBIN: RoutingStrategy
ROUTING_STRATEGY_CUSTOM: RoutingStrategy
DURABILITY_UNSPECIFIED: Durability
DURABILITY_VOLATILE: Durability
DURABILITY_STORED: Durability
DURABILITY_SYNCED: Durability

class Room(_message.Message):
    __slots__ = ("room", "description", "metadata", "defaults", "auto_create_channels", "revision", "create_time", "channel_count")
    class MetadataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    ROOM_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    DEFAULTS_FIELD_NUMBER: _ClassVar[int]
    AUTO_CREATE_CHANNELS_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_COUNT_FIELD_NUMBER: _ClassVar[int]
    room: str
    description: str
    metadata: _containers.ScalarMap[str, str]
    defaults: ChannelConfig
    auto_create_channels: bool
    revision: int
    create_time: _timestamp_pb2.Timestamp
    channel_count: int
    def __init__(self, room: _Optional[str] = ..., description: _Optional[str] = ..., metadata: _Optional[_Mapping[str, str]] = ..., defaults: _Optional[_Union[ChannelConfig, _Mapping]] = ..., auto_create_channels: bool = ..., revision: _Optional[int] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., channel_count: _Optional[int] = ...) -> None: ...

class Channel(_message.Message):
    __slots__ = ("room", "channel", "description", "metadata", "config", "revision", "create_time", "effective_config", "member_count", "subscription_count", "head_sequence", "first_sequence", "head_position", "size_bytes")
    class MetadataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    ROOM_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    EFFECTIVE_CONFIG_FIELD_NUMBER: _ClassVar[int]
    MEMBER_COUNT_FIELD_NUMBER: _ClassVar[int]
    SUBSCRIPTION_COUNT_FIELD_NUMBER: _ClassVar[int]
    HEAD_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    FIRST_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    HEAD_POSITION_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    room: str
    channel: str
    description: str
    metadata: _containers.ScalarMap[str, str]
    config: ChannelConfig
    revision: int
    create_time: _timestamp_pb2.Timestamp
    effective_config: ChannelConfig
    member_count: int
    subscription_count: int
    head_sequence: int
    first_sequence: int
    head_position: str
    size_bytes: int
    def __init__(self, room: _Optional[str] = ..., channel: _Optional[str] = ..., description: _Optional[str] = ..., metadata: _Optional[_Mapping[str, str]] = ..., config: _Optional[_Union[ChannelConfig, _Mapping]] = ..., revision: _Optional[int] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., effective_config: _Optional[_Union[ChannelConfig, _Mapping]] = ..., member_count: _Optional[int] = ..., subscription_count: _Optional[int] = ..., head_sequence: _Optional[int] = ..., first_sequence: _Optional[int] = ..., head_position: _Optional[str] = ..., size_bytes: _Optional[int] = ...) -> None: ...

class ChannelConfig(_message.Message):
    __slots__ = ("routing", "retention", "durability", "max_members", "dedup_window")
    ROUTING_FIELD_NUMBER: _ClassVar[int]
    RETENTION_FIELD_NUMBER: _ClassVar[int]
    DURABILITY_FIELD_NUMBER: _ClassVar[int]
    MAX_MEMBERS_FIELD_NUMBER: _ClassVar[int]
    DEDUP_WINDOW_FIELD_NUMBER: _ClassVar[int]
    routing: Routing
    retention: Retention
    durability: Durability
    max_members: int
    dedup_window: _duration_pb2.Duration
    def __init__(self, routing: _Optional[_Union[Routing, _Mapping]] = ..., retention: _Optional[_Union[Retention, _Mapping]] = ..., durability: _Optional[_Union[Durability, str]] = ..., max_members: _Optional[int] = ..., dedup_window: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class Routing(_message.Message):
    __slots__ = ("strategy", "allow_sender_recipients", "recipients", "capabilities", "limit", "custom")
    STRATEGY_FIELD_NUMBER: _ClassVar[int]
    ALLOW_SENDER_RECIPIENTS_FIELD_NUMBER: _ClassVar[int]
    RECIPIENTS_FIELD_NUMBER: _ClassVar[int]
    CAPABILITIES_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    CUSTOM_FIELD_NUMBER: _ClassVar[int]
    strategy: RoutingStrategy
    allow_sender_recipients: bool
    recipients: _message_pb2.Recipients
    capabilities: _containers.RepeatedScalarFieldContainer[str]
    limit: int
    custom: str
    def __init__(self, strategy: _Optional[_Union[RoutingStrategy, str]] = ..., allow_sender_recipients: bool = ..., recipients: _Optional[_Union[_message_pb2.Recipients, _Mapping]] = ..., capabilities: _Optional[_Iterable[str]] = ..., limit: _Optional[int] = ..., custom: _Optional[str] = ...) -> None: ...

class Retention(_message.Message):
    __slots__ = ("max_age_duration", "max_messages", "max_bytes")
    MAX_AGE_DURATION_FIELD_NUMBER: _ClassVar[int]
    MAX_MESSAGES_FIELD_NUMBER: _ClassVar[int]
    MAX_BYTES_FIELD_NUMBER: _ClassVar[int]
    max_age_duration: _duration_pb2.Duration
    max_messages: int
    max_bytes: int
    def __init__(self, max_age_duration: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., max_messages: _Optional[int] = ..., max_bytes: _Optional[int] = ...) -> None: ...

class Member(_message.Message):
    __slots__ = ("agent_id", "join_time")
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    JOIN_TIME_FIELD_NUMBER: _ClassVar[int]
    agent_id: str
    join_time: _timestamp_pb2.Timestamp
    def __init__(self, agent_id: _Optional[str] = ..., join_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...
