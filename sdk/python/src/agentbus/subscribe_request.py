"""Makes the requests that read: Subscribe and Fetch."""

from __future__ import annotations

from collections.abc import Sequence

from .envelope import make_filter, refuse_unknown, split_channel
from .options import FetchOptions, FetchStart, Start, SubscribeOptions
from .time_values import to_duration, to_timestamp
from .v1 import bus_service_pb2

_STARTS = ("last", "since", "resume")
_FETCH_STARTS = ("position", "message_id", "time")


def subscribe_request(agent_id: str, options: SubscribeOptions) -> bus_service_pb2.SubscribeRequest:
    """The first request of a subscription. Raises TypeError or ValueError for options that make no sense."""
    refuse_unknown("subscribe", options, SubscribeOptions.__optional_keys__)
    request = bus_service_pb2.SubscribeRequest(
        agent_id=agent_id,
        channels=_list("channels", options.get("channels", ())),
        patterns=_list("patterns", options.get("patterns", ())),
        echo=options.get("echo", False),
        observe=options.get("observe", False),
        exclusive=options.get("exclusive", ""),
        max_messages=options.get("max_messages", 0),
    )
    _start(request, options.get("start", "new"))
    if (given := options.get("filter")) is not None:
        request.filter.CopyFrom(make_filter(given))
    on_gap = options.get("on_gap", "tell")
    if on_gap == "fail":
        request.on_gap = bus_service_pb2.ON_GAP_FAIL
    elif on_gap != "tell" and not callable(on_gap):
        raise ValueError(f'on_gap {on_gap!r} is none of "tell", "fail" or a function')
    if (interval := options.get("heartbeat_interval")) is not None:
        request.heartbeat_interval.CopyFrom(to_duration(interval))
    return request


def resumed(request: bus_service_pb2.SubscribeRequest, positions: Sequence[str]) -> bus_service_pb2.SubscribeRequest:
    """The same subscription from these positions on. Without any it still resumes: a channel that came to exist
    meanwhile starts with its first message.
    """
    again = bus_service_pb2.SubscribeRequest()
    again.CopyFrom(request)
    again.resume.SetInParent()
    again.resume.positions[:] = positions
    return again


def fetch_request(agent_id: str, channel: str, options: FetchOptions) -> bus_service_pb2.FetchRequest:
    """A request for history. Raises TypeError or ValueError for options that make no sense."""
    refuse_unknown("fetch", options, FetchOptions.__optional_keys__)
    room, name = split_channel(channel)
    request = bus_service_pb2.FetchRequest(
        agent_id=agent_id,
        room=room,
        channel=name,
        backward=options.get("backward", False),
        max_messages=options.get("max_messages", 0),
    )
    if (start := options.get("start")) is not None:
        _fetch_start(request, start)
    if (given := options.get("filter")) is not None:
        request.filter.CopyFrom(make_filter(given))
    return request


def _start(request: bus_service_pb2.SubscribeRequest, start: Start) -> None:
    if isinstance(start, str):
        if start not in ("new", "earliest"):
            raise ValueError(f'start {start!r} is none of "new", "earliest", {{"last": n}}, {{"since": datetime}}, …')
        if start == "earliest":
            request.earliest = True
        return
    _one_of("start", list(start), _STARTS)
    if "last" in start:
        request.last = start["last"]
    elif "since" in start:
        request.since.CopyFrom(to_timestamp(start["since"]))
    else:
        request.resume.SetInParent()
        request.resume.positions.extend(_list("resume", start["resume"]))


def _fetch_start(request: bus_service_pb2.FetchRequest, start: FetchStart) -> None:
    _one_of("start", list(start), _FETCH_STARTS)
    if "position" in start:
        request.position = start["position"]
    elif "message_id" in start:
        request.message_id = start["message_id"]
    else:
        request.time.CopyFrom(to_timestamp(start["time"]))


def _one_of(what: str, keys: Sequence[str], known: Sequence[str]) -> None:
    if len(keys) != 1 or keys[0] not in known:
        raise TypeError(f"{what} takes exactly one of {', '.join(known)}")


def _list(what: str, given: Sequence[str]) -> Sequence[str]:
    # A str is a sequence of str too: "a:b" would become four channels.
    if isinstance(given, str):
        raise TypeError(f"{what} takes a list, for example [{given!r}]")
    return given
