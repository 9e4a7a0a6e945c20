"""What goes into a message, and how one reads it."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from scripted_bus import message

from agentbus import Message, Receipt, SendOptions
from agentbus.envelope import make_filter, make_message, make_recipients
from agentbus.ids import uuid7
from agentbus.message import reply_options
from agentbus.v1 import message_pb2


class Nobody:
    async def send(self, content: object, **options: object) -> Receipt:
        raise NotImplementedError


@pytest.mark.parametrize(
    ("content", "text", "data", "content_type"),
    [
        ("hi", "hi", b"", ""),
        (b"\x00\xff", "", b"\x00\xff", ""),
        (bytearray(b"ab"), "", b"ab", ""),
        ({"ä": [1, None, True]}, '{"ä":[1,null,true]}', b"", "application/json"),
        (7, "7", b"", "application/json"),
        (None, "", b"", ""),
    ],
)
def test_content(content: object, text: str, data: bytes, content_type: str) -> None:
    made = make_message(content, {})
    assert (made.text, made.data, made.content_type) == (text, data, content_type)
    read = Message(made, Nobody())
    assert read.content == (bytes(content) if isinstance(content, bytearray) else content)


@pytest.mark.parametrize("content", [{1, 2}, float("nan"), object()])
def test_content_that_json_cannot_say_is_refused(content: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        make_message(content, {})


def test_every_option_arrives() -> None:
    made = make_message(
        "x",
        {
            "type": "event",
            "name": "UserCreated",
            "metadata": {"k": "v"},
            "priority": 9,
            "time_to_live": 1.5,
            "timestamp": datetime(2026, 1, 2, tzinfo=timezone.utc),
            "correlation_id": "c",
            "idempotency_key": "i",
            "ordering_key": "o",
            "schema": "s",
            "session_id": "e",
            "traceparent": "t",
            "content_type": "text/markdown",
        },
    )
    read = Message(made, Nobody())
    assert (read.type, read.name, read.metadata, read.priority) == ("event", "UserCreated", {"k": "v"}, 9)
    assert (read.time_to_live, read.timestamp) == (timedelta(seconds=1.5), datetime(2026, 1, 2, tzinfo=timezone.utc))
    assert (read.correlation_id, read.ordering_key, read.schema, read.session_id) == ("c", "o", "s", "e")
    assert (read.traceparent, read.content_type, made.idempotency_key) == ("t", "text/markdown", "i")


@pytest.mark.parametrize("options", [{"too": ["bob"]}, {"type": "shout"}, {"to": {"agent": ["bob"]}}])
def test_a_misspelt_option_is_never_ignored(options: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        make_message("x", options)


def test_recipients() -> None:
    assert list(make_recipients("bob").agents) == ["bob"]
    assert list(make_recipients(["bob", "carol"]).agents) == ["bob", "carol"]
    made = make_recipients({"groups": ["staff"], "select": {"kinds": ["ai_agent"], "labels": {"a": "b"}, "limit": 1}})
    read = Message(message_pb2.Message(to=made), Nobody()).to
    assert read == {
        "groups": ["staff"],
        "select": {"kinds": ["ai_agent"], "labels": {"a": "b"}, "capabilities": [], "limit": 1},
    }


@pytest.mark.parametrize("to", [[], {}, {"agents": []}])
def test_recipients_that_name_nobody_stay_set_for_the_server_to_refuse(to: Any) -> None:
    assert make_message("x", {"to": to}).HasField("to")


def test_an_empty_selection_stays_set() -> None:
    assert make_recipients({"select": {}}).HasField("select")


def test_a_filter_with_a_misspelt_part_is_refused() -> None:
    with pytest.raises(TypeError, match="sender"):
        make_filter({"sender": ["bob"]})  # type: ignore[typeddict-unknown-key]


def test_reading() -> None:
    read = Message(message(7, epoch=0xAB, hop_count=2), Nobody())
    assert (read.position, read.address, read.room, read.channel) == (
        "science:explore@000000ab.7",
        "science:explore",
        "science",
        "explore",
    )
    assert (read.sender, read.hop_count, read.direct, read.to, read.timestamp) == ("bob", 2, False, None, None)
    assert (read.type, read.content_type, read.data) == ("unknown", "text/plain", b"m7")
    assert Message(message_pb2.Message(type=77), Nobody()).type == "unknown"  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="is not JSON"):
        read.json()
    structured = Message(message_pb2.Message(text='{"a":1}', content_type="application/vnd.x+json; v=1"), Nobody())
    assert structured.content == {"a": 1}


@pytest.mark.parametrize(
    ("fields", "given", "expected"),
    [
        ({}, {}, {"channel": "science:explore"}),
        ({"to": message_pb2.Recipients(agents=["me"])}, {}, {"channel": "science:explore", "to": "bob"}),
        ({"reply_to": "_inbox:carol"}, {}, {"to": "carol"}),
        ({"reply_to": "lab:answers"}, {}, {"channel": "lab:answers"}),
        ({"channel": "_inbox:me"}, {}, {"to": "bob"}),
        ({"channel": "_inbox:me"}, {"to": "carol"}, {"to": "carol"}),
        ({"reply_to": "_inbox:carol"}, {"to": ["dave"]}, {"channel": "science:explore", "to": ["dave"]}),
        ({"type": 3}, {}, {"channel": "science:explore", "type": "result"}),
        ({"correlation_id": "c"}, {}, {"channel": "science:explore", "correlation_id": "c"}),
    ],
)
def test_where_a_reply_goes(fields: dict[str, Any], given: SendOptions, expected: dict[str, object]) -> None:
    said = message(5, **fields)
    reply = reply_options(said, given)
    address = f"{said.room}:{said.channel}"
    assert reply == {"causation": f"{address}@000000a1.5", "correlation_id": "id-5", **expected}


def test_ids_are_uuids_of_version_7() -> None:
    made = [uuid7() for _ in range(1_000)]
    assert len(set(made)) == 1_000
    assert {(each[14], each[19] in "89ab") for each in made} == {("7", True)}
    assert made[0][:8] <= made[-1][:8]
