import datetime

from agentbus.v1 import agent_pb2 as _agent_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class MessageType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MESSAGE_TYPE_UNSPECIFIED: _ClassVar[MessageType]
    MESSAGE_TYPE_MESSAGE: _ClassVar[MessageType]
    MESSAGE_TYPE_EVENT: _ClassVar[MessageType]
    MESSAGE_TYPE_COMMAND: _ClassVar[MessageType]
    MESSAGE_TYPE_RESULT: _ClassVar[MessageType]
    MESSAGE_TYPE_TELEMETRY: _ClassVar[MessageType]
    MESSAGE_TYPE_SYSTEM: _ClassVar[MessageType]
MESSAGE_TYPE_UNSPECIFIED: MessageType
MESSAGE_TYPE_MESSAGE: MessageType
MESSAGE_TYPE_EVENT: MessageType
MESSAGE_TYPE_COMMAND: MessageType
MESSAGE_TYPE_RESULT: MessageType
MESSAGE_TYPE_TELEMETRY: MessageType
MESSAGE_TYPE_SYSTEM: MessageType

class Message(_message.Message):
    __slots__ = ("version", "id", "type", "name", "to", "text", "data", "content_type", "metadata", "priority", "idempotency_key", "ordering_key", "correlation_id", "causation", "reply_to", "time_to_live", "timestamp", "traceparent", "session_id", "schema", "room", "channel", "sender", "sequence", "epoch", "accept_time", "hop_count")
    class MetadataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    CONTENT_TYPE_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    ORDERING_KEY_FIELD_NUMBER: _ClassVar[int]
    CORRELATION_ID_FIELD_NUMBER: _ClassVar[int]
    CAUSATION_FIELD_NUMBER: _ClassVar[int]
    REPLY_TO_FIELD_NUMBER: _ClassVar[int]
    TIME_TO_LIVE_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    TRACEPARENT_FIELD_NUMBER: _ClassVar[int]
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    SCHEMA_FIELD_NUMBER: _ClassVar[int]
    ROOM_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    SENDER_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    ACCEPT_TIME_FIELD_NUMBER: _ClassVar[int]
    HOP_COUNT_FIELD_NUMBER: _ClassVar[int]
    version: str
    id: str
    type: MessageType
    name: str
    to: Recipients
    text: str
    data: bytes
    content_type: str
    metadata: _containers.ScalarMap[str, str]
    priority: int
    idempotency_key: str
    ordering_key: str
    correlation_id: str
    causation: str
    reply_to: str
    time_to_live: _duration_pb2.Duration
    timestamp: _timestamp_pb2.Timestamp
    traceparent: str
    session_id: str
    schema: str
    room: str
    channel: str
    sender: str
    sequence: int
    epoch: int
    accept_time: _timestamp_pb2.Timestamp
    hop_count: int
    def __init__(self, version: _Optional[str] = ..., id: _Optional[str] = ..., type: _Optional[_Union[MessageType, str]] = ..., name: _Optional[str] = ..., to: _Optional[_Union[Recipients, _Mapping]] = ..., text: _Optional[str] = ..., data: _Optional[bytes] = ..., content_type: _Optional[str] = ..., metadata: _Optional[_Mapping[str, str]] = ..., priority: _Optional[int] = ..., idempotency_key: _Optional[str] = ..., ordering_key: _Optional[str] = ..., correlation_id: _Optional[str] = ..., causation: _Optional[str] = ..., reply_to: _Optional[str] = ..., time_to_live: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., timestamp: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., traceparent: _Optional[str] = ..., session_id: _Optional[str] = ..., schema: _Optional[str] = ..., room: _Optional[str] = ..., channel: _Optional[str] = ..., sender: _Optional[str] = ..., sequence: _Optional[int] = ..., epoch: _Optional[int] = ..., accept_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., hop_count: _Optional[int] = ...) -> None: ...

class Recipients(_message.Message):
    __slots__ = ("agents", "groups", "select")
    AGENTS_FIELD_NUMBER: _ClassVar[int]
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    SELECT_FIELD_NUMBER: _ClassVar[int]
    agents: _containers.RepeatedScalarFieldContainer[str]
    groups: _containers.RepeatedScalarFieldContainer[str]
    select: Selection
    def __init__(self, agents: _Optional[_Iterable[str]] = ..., groups: _Optional[_Iterable[str]] = ..., select: _Optional[_Union[Selection, _Mapping]] = ...) -> None: ...

class Selection(_message.Message):
    __slots__ = ("kinds", "labels", "capabilities", "limit")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    KINDS_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    CAPABILITIES_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    kinds: _containers.RepeatedScalarFieldContainer[_agent_pb2.AgentKind]
    labels: _containers.ScalarMap[str, str]
    capabilities: _containers.RepeatedScalarFieldContainer[str]
    limit: int
    def __init__(self, kinds: _Optional[_Iterable[_Union[_agent_pb2.AgentKind, str]]] = ..., labels: _Optional[_Mapping[str, str]] = ..., capabilities: _Optional[_Iterable[str]] = ..., limit: _Optional[int] = ...) -> None: ...
