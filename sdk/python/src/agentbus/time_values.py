"""Between Python's times and those of the wire. A bare number is seconds."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp


def to_duration(value: float | timedelta) -> Duration:
    """A number of seconds or a timedelta as a Duration."""
    duration = Duration()
    duration.FromTimedelta(value if isinstance(value, timedelta) else timedelta(seconds=value))
    return duration


def to_seconds(value: float | timedelta) -> float:
    """A number of seconds or a timedelta as a number of seconds."""
    return value.total_seconds() if isinstance(value, timedelta) else value


def to_timestamp(value: datetime | float) -> Timestamp:
    """A datetime (one without a zone is local time, as in Python) or seconds since 1970 as a Timestamp."""
    timestamp = Timestamp()
    moment = value if isinstance(value, datetime) else datetime.fromtimestamp(value, timezone.utc)
    timestamp.FromDatetime(moment.astimezone(timezone.utc))
    return timestamp


def from_timestamp(value: Timestamp) -> datetime:
    """A Timestamp as a datetime in UTC."""
    return value.ToDatetime(timezone.utc)
