import datetime

from agentbus.v1 import agent_service_pb2 as _agent_service_pb2
from agentbus.v1 import error_pb2 as _error_pb2
from agentbus.v1 import message_pb2 as _message_pb2
from agentbus.v1 import room_pb2 as _room_pb2
from agentbus.v1 import room_service_pb2 as _room_service_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class OnGap(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ON_GAP_UNSPECIFIED: _ClassVar[OnGap]
    ON_GAP_TELL: _ClassVar[OnGap]
    ON_GAP_FAIL: _ClassVar[OnGap]

class GapCause(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    GAP_CAUSE_UNSPECIFIED: _ClassVar[GapCause]
    GAP_CAUSE_RETENTION: _ClassVar[GapCause]
    GAP_CAUSE_NEW_EPOCH: _ClassVar[GapCause]
    GAP_CAUSE_DAMAGED: _ClassVar[GapCause]
    GAP_CAUSE_LOST: _ClassVar[GapCause]

class EndReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    END_REASON_UNSPECIFIED: _ClassVar[EndReason]
    END_REASON_TAKEN_OVER: _ClassVar[EndReason]
    END_REASON_CHANNEL_DELETED: _ClassVar[EndReason]
    END_REASON_AGENT_GONE: _ClassVar[EndReason]
    END_REASON_UNSUBSCRIBED: _ClassVar[EndReason]
ON_GAP_UNSPECIFIED: OnGap
ON_GAP_TELL: OnGap
ON_GAP_FAIL: OnGap
GAP_CAUSE_UNSPECIFIED: GapCause
GAP_CAUSE_RETENTION: GapCause
GAP_CAUSE_NEW_EPOCH: GapCause
GAP_CAUSE_DAMAGED: GapCause
GAP_CAUSE_LOST: GapCause
END_REASON_UNSPECIFIED: EndReason
END_REASON_TAKEN_OVER: EndReason
END_REASON_CHANNEL_DELETED: EndReason
END_REASON_AGENT_GONE: EndReason
END_REASON_UNSUBSCRIBED: EndReason

class PublishRequest(_message.Message):
    __slots__ = ("agent_id", "room", "channel", "messages")
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    ROOM_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    MESSAGES_FIELD_NUMBER: _ClassVar[int]
    agent_id: str
    room: str
    channel: str
    messages: _containers.RepeatedCompositeFieldContainer[_message_pb2.Message]
    def __init__(self, agent_id: _Optional[str] = ..., room: _Optional[str] = ..., channel: _Optional[str] = ..., messages: _Optional[_Iterable[_Union[_message_pb2.Message, _Mapping]]] = ...) -> None: ...

class PublishResponse(_message.Message):
    __slots__ = ("results", "durability")
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    DURABILITY_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[PublishResult]
    durability: _room_pb2.Durability
    def __init__(self, results: _Optional[_Iterable[_Union[PublishResult, _Mapping]]] = ..., durability: _Optional[_Union[_room_pb2.Durability, str]] = ...) -> None: ...

class PublishResult(_message.Message):
    __slots__ = ("id", "position", "duplicate", "audience")
    ID_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    DUPLICATE_FIELD_NUMBER: _ClassVar[int]
    AUDIENCE_FIELD_NUMBER: _ClassVar[int]
    id: str
    position: str
    duplicate: bool
    audience: Audience
    def __init__(self, id: _Optional[str] = ..., position: _Optional[str] = ..., duplicate: bool = ..., audience: _Optional[_Union[Audience, _Mapping]] = ...) -> None: ...

class Audience(_message.Message):
    __slots__ = ("count", "agents")
    COUNT_FIELD_NUMBER: _ClassVar[int]
    AGENTS_FIELD_NUMBER: _ClassVar[int]
    count: int
    agents: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, count: _Optional[int] = ..., agents: _Optional[_Iterable[str]] = ...) -> None: ...

class PublishStreamRequest(_message.Message):
    __slots__ = ("request_id", "publish")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    PUBLISH_FIELD_NUMBER: _ClassVar[int]
    request_id: int
    publish: PublishRequest
    def __init__(self, request_id: _Optional[int] = ..., publish: _Optional[_Union[PublishRequest, _Mapping]] = ...) -> None: ...

class PublishStreamResponse(_message.Message):
    __slots__ = ("request_id", "published", "error")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    PUBLISHED_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    request_id: int
    published: PublishResponse
    error: _error_pb2.Error
    def __init__(self, request_id: _Optional[int] = ..., published: _Optional[_Union[PublishResponse, _Mapping]] = ..., error: _Optional[_Union[_error_pb2.Error, _Mapping]] = ...) -> None: ...

class SubscribeRequest(_message.Message):
    __slots__ = ("agent_id", "channels", "patterns", "earliest", "last", "since", "resume", "filter", "echo", "observe", "exclusive", "on_gap", "max_messages", "heartbeat_interval")
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    CHANNELS_FIELD_NUMBER: _ClassVar[int]
    PATTERNS_FIELD_NUMBER: _ClassVar[int]
    EARLIEST_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    RESUME_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    ECHO_FIELD_NUMBER: _ClassVar[int]
    OBSERVE_FIELD_NUMBER: _ClassVar[int]
    EXCLUSIVE_FIELD_NUMBER: _ClassVar[int]
    ON_GAP_FIELD_NUMBER: _ClassVar[int]
    MAX_MESSAGES_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_INTERVAL_FIELD_NUMBER: _ClassVar[int]
    agent_id: str
    channels: _containers.RepeatedScalarFieldContainer[str]
    patterns: _containers.RepeatedScalarFieldContainer[str]
    earliest: bool
    last: int
    since: _timestamp_pb2.Timestamp
    resume: Resume
    filter: Filter
    echo: bool
    observe: bool
    exclusive: str
    on_gap: OnGap
    max_messages: int
    heartbeat_interval: _duration_pb2.Duration
    def __init__(self, agent_id: _Optional[str] = ..., channels: _Optional[_Iterable[str]] = ..., patterns: _Optional[_Iterable[str]] = ..., earliest: bool = ..., last: _Optional[int] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., resume: _Optional[_Union[Resume, _Mapping]] = ..., filter: _Optional[_Union[Filter, _Mapping]] = ..., echo: bool = ..., observe: bool = ..., exclusive: _Optional[str] = ..., on_gap: _Optional[_Union[OnGap, str]] = ..., max_messages: _Optional[int] = ..., heartbeat_interval: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class Resume(_message.Message):
    __slots__ = ("positions",)
    POSITIONS_FIELD_NUMBER: _ClassVar[int]
    positions: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, positions: _Optional[_Iterable[str]] = ...) -> None: ...

class Filter(_message.Message):
    __slots__ = ("types", "names", "senders", "session_ids", "correlation_ids", "metadata", "min_priority", "direct_only")
    class MetadataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    TYPES_FIELD_NUMBER: _ClassVar[int]
    NAMES_FIELD_NUMBER: _ClassVar[int]
    SENDERS_FIELD_NUMBER: _ClassVar[int]
    SESSION_IDS_FIELD_NUMBER: _ClassVar[int]
    CORRELATION_IDS_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    MIN_PRIORITY_FIELD_NUMBER: _ClassVar[int]
    DIRECT_ONLY_FIELD_NUMBER: _ClassVar[int]
    types: _containers.RepeatedScalarFieldContainer[_message_pb2.MessageType]
    names: _containers.RepeatedScalarFieldContainer[str]
    senders: _containers.RepeatedScalarFieldContainer[str]
    session_ids: _containers.RepeatedScalarFieldContainer[str]
    correlation_ids: _containers.RepeatedScalarFieldContainer[str]
    metadata: _containers.ScalarMap[str, str]
    min_priority: int
    direct_only: bool
    def __init__(self, types: _Optional[_Iterable[_Union[_message_pb2.MessageType, str]]] = ..., names: _Optional[_Iterable[str]] = ..., senders: _Optional[_Iterable[str]] = ..., session_ids: _Optional[_Iterable[str]] = ..., correlation_ids: _Optional[_Iterable[str]] = ..., metadata: _Optional[_Mapping[str, str]] = ..., min_priority: _Optional[int] = ..., direct_only: bool = ...) -> None: ...

class SubscribeResponse(_message.Message):
    __slots__ = ("messages", "positions", "gaps", "opened", "caught_up", "server_time", "go_away", "end")
    MESSAGES_FIELD_NUMBER: _ClassVar[int]
    POSITIONS_FIELD_NUMBER: _ClassVar[int]
    GAPS_FIELD_NUMBER: _ClassVar[int]
    OPENED_FIELD_NUMBER: _ClassVar[int]
    CAUGHT_UP_FIELD_NUMBER: _ClassVar[int]
    SERVER_TIME_FIELD_NUMBER: _ClassVar[int]
    GO_AWAY_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    messages: _containers.RepeatedCompositeFieldContainer[_message_pb2.Message]
    positions: _containers.RepeatedScalarFieldContainer[str]
    gaps: _containers.RepeatedCompositeFieldContainer[Gap]
    opened: Opened
    caught_up: bool
    server_time: _timestamp_pb2.Timestamp
    go_away: GoAway
    end: End
    def __init__(self, messages: _Optional[_Iterable[_Union[_message_pb2.Message, _Mapping]]] = ..., positions: _Optional[_Iterable[str]] = ..., gaps: _Optional[_Iterable[_Union[Gap, _Mapping]]] = ..., opened: _Optional[_Union[Opened, _Mapping]] = ..., caught_up: bool = ..., server_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., go_away: _Optional[_Union[GoAway, _Mapping]] = ..., end: _Optional[_Union[End, _Mapping]] = ...) -> None: ...

class Opened(_message.Message):
    __slots__ = ("node_id", "agent_id", "heartbeat_interval")
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_INTERVAL_FIELD_NUMBER: _ClassVar[int]
    node_id: str
    agent_id: str
    heartbeat_interval: _duration_pb2.Duration
    def __init__(self, node_id: _Optional[str] = ..., agent_id: _Optional[str] = ..., heartbeat_interval: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class Gap(_message.Message):
    __slots__ = ("room", "channel", "first_sequence", "last_sequence", "cause")
    ROOM_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    FIRST_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    LAST_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    room: str
    channel: str
    first_sequence: int
    last_sequence: int
    cause: GapCause
    def __init__(self, room: _Optional[str] = ..., channel: _Optional[str] = ..., first_sequence: _Optional[int] = ..., last_sequence: _Optional[int] = ..., cause: _Optional[_Union[GapCause, str]] = ...) -> None: ...

class GoAway(_message.Message):
    __slots__ = ("grace_duration",)
    GRACE_DURATION_FIELD_NUMBER: _ClassVar[int]
    grace_duration: _duration_pb2.Duration
    def __init__(self, grace_duration: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class End(_message.Message):
    __slots__ = ("reason", "message", "channel")
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    reason: EndReason
    message: str
    channel: str
    def __init__(self, reason: _Optional[_Union[EndReason, str]] = ..., message: _Optional[str] = ..., channel: _Optional[str] = ...) -> None: ...

class ConnectRequest(_message.Message):
    __slots__ = ("request_id", "hello", "publish", "subscribe", "credit", "unsubscribe", "join", "leave", "heartbeat")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    HELLO_FIELD_NUMBER: _ClassVar[int]
    PUBLISH_FIELD_NUMBER: _ClassVar[int]
    SUBSCRIBE_FIELD_NUMBER: _ClassVar[int]
    CREDIT_FIELD_NUMBER: _ClassVar[int]
    UNSUBSCRIBE_FIELD_NUMBER: _ClassVar[int]
    JOIN_FIELD_NUMBER: _ClassVar[int]
    LEAVE_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    request_id: int
    hello: Hello
    publish: PublishRequest
    subscribe: SubscribeRequest
    credit: Credit
    unsubscribe: Unsubscribe
    join: _room_service_pb2.JoinChannelRequest
    leave: _room_service_pb2.LeaveChannelRequest
    heartbeat: _agent_service_pb2.HeartbeatRequest
    def __init__(self, request_id: _Optional[int] = ..., hello: _Optional[_Union[Hello, _Mapping]] = ..., publish: _Optional[_Union[PublishRequest, _Mapping]] = ..., subscribe: _Optional[_Union[SubscribeRequest, _Mapping]] = ..., credit: _Optional[_Union[Credit, _Mapping]] = ..., unsubscribe: _Optional[_Union[Unsubscribe, _Mapping]] = ..., join: _Optional[_Union[_room_service_pb2.JoinChannelRequest, _Mapping]] = ..., leave: _Optional[_Union[_room_service_pb2.LeaveChannelRequest, _Mapping]] = ..., heartbeat: _Optional[_Union[_agent_service_pb2.HeartbeatRequest, _Mapping]] = ...) -> None: ...

class Hello(_message.Message):
    __slots__ = ("agent_id", "client", "observe")
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    CLIENT_FIELD_NUMBER: _ClassVar[int]
    OBSERVE_FIELD_NUMBER: _ClassVar[int]
    agent_id: str
    client: str
    observe: bool
    def __init__(self, agent_id: _Optional[str] = ..., client: _Optional[str] = ..., observe: bool = ...) -> None: ...

class Welcome(_message.Message):
    __slots__ = ("node_id", "agent_id", "server_time", "initial_credit")
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    SERVER_TIME_FIELD_NUMBER: _ClassVar[int]
    INITIAL_CREDIT_FIELD_NUMBER: _ClassVar[int]
    node_id: str
    agent_id: str
    server_time: _timestamp_pb2.Timestamp
    initial_credit: int
    def __init__(self, node_id: _Optional[str] = ..., agent_id: _Optional[str] = ..., server_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., initial_credit: _Optional[int] = ...) -> None: ...

class Credit(_message.Message):
    __slots__ = ("subscribe_id", "bytes")
    SUBSCRIBE_ID_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    subscribe_id: int
    bytes: int
    def __init__(self, subscribe_id: _Optional[int] = ..., bytes: _Optional[int] = ...) -> None: ...

class Unsubscribe(_message.Message):
    __slots__ = ("subscribe_id",)
    SUBSCRIBE_ID_FIELD_NUMBER: _ClassVar[int]
    subscribe_id: int
    def __init__(self, subscribe_id: _Optional[int] = ...) -> None: ...

class ConnectResponse(_message.Message):
    __slots__ = ("request_id", "welcome", "published", "delivery", "done", "error", "go_away")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    WELCOME_FIELD_NUMBER: _ClassVar[int]
    PUBLISHED_FIELD_NUMBER: _ClassVar[int]
    DELIVERY_FIELD_NUMBER: _ClassVar[int]
    DONE_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    GO_AWAY_FIELD_NUMBER: _ClassVar[int]
    request_id: int
    welcome: Welcome
    published: PublishResponse
    delivery: SubscribeResponse
    done: Done
    error: _error_pb2.Error
    go_away: GoAway
    def __init__(self, request_id: _Optional[int] = ..., welcome: _Optional[_Union[Welcome, _Mapping]] = ..., published: _Optional[_Union[PublishResponse, _Mapping]] = ..., delivery: _Optional[_Union[SubscribeResponse, _Mapping]] = ..., done: _Optional[_Union[Done, _Mapping]] = ..., error: _Optional[_Union[_error_pb2.Error, _Mapping]] = ..., go_away: _Optional[_Union[GoAway, _Mapping]] = ...) -> None: ...

class Done(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class FetchRequest(_message.Message):
    __slots__ = ("agent_id", "room", "channel", "position", "message_id", "time", "backward", "filter", "max_messages", "wait_duration")
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    ROOM_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_ID_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    BACKWARD_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    MAX_MESSAGES_FIELD_NUMBER: _ClassVar[int]
    WAIT_DURATION_FIELD_NUMBER: _ClassVar[int]
    agent_id: str
    room: str
    channel: str
    position: str
    message_id: str
    time: _timestamp_pb2.Timestamp
    backward: bool
    filter: Filter
    max_messages: int
    wait_duration: _duration_pb2.Duration
    def __init__(self, agent_id: _Optional[str] = ..., room: _Optional[str] = ..., channel: _Optional[str] = ..., position: _Optional[str] = ..., message_id: _Optional[str] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., backward: bool = ..., filter: _Optional[_Union[Filter, _Mapping]] = ..., max_messages: _Optional[int] = ..., wait_duration: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class FetchResponse(_message.Message):
    __slots__ = ("messages", "position", "caught_up", "gaps")
    MESSAGES_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    CAUGHT_UP_FIELD_NUMBER: _ClassVar[int]
    GAPS_FIELD_NUMBER: _ClassVar[int]
    messages: _containers.RepeatedCompositeFieldContainer[_message_pb2.Message]
    position: str
    caught_up: bool
    gaps: _containers.RepeatedCompositeFieldContainer[Gap]
    def __init__(self, messages: _Optional[_Iterable[_Union[_message_pb2.Message, _Mapping]]] = ..., position: _Optional[str] = ..., caught_up: bool = ..., gaps: _Optional[_Iterable[_Union[Gap, _Mapping]]] = ...) -> None: ...

class GetMessageRequest(_message.Message):
    __slots__ = ("agent_id", "room", "channel", "position", "message_id")
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    ROOM_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_ID_FIELD_NUMBER: _ClassVar[int]
    agent_id: str
    room: str
    channel: str
    position: str
    message_id: str
    def __init__(self, agent_id: _Optional[str] = ..., room: _Optional[str] = ..., channel: _Optional[str] = ..., position: _Optional[str] = ..., message_id: _Optional[str] = ...) -> None: ...

class GetMessageResponse(_message.Message):
    __slots__ = ("message", "position")
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    message: _message_pb2.Message
    position: str
    def __init__(self, message: _Optional[_Union[_message_pb2.Message, _Mapping]] = ..., position: _Optional[str] = ...) -> None: ...
