"""Failures as a program sees them."""

from __future__ import annotations

import pathlib
import re

import pytest

from agentbus import REASONS, BusError
from agentbus.error_details import from_error
from agentbus.v1 import error_pb2

SERVER_TABLE = pathlib.Path(__file__).parents[3] / "src" / "core" / "errors.ts"


def test_reasons_equal_those_of_the_server() -> None:
    if not SERVER_TABLE.parent.parent.is_dir():
        pytest.skip("the server's sources are not here: this is not its repository")
    entries = re.findall(r'^ {2}(\w+): \{\s*code: "(\w+)",\s*retry: "(\w+)"', SERVER_TABLE.read_text("utf-8"), re.M)
    assert {name: (code, retry) for name, code, retry in entries} == REASONS


def test_an_error_within_a_stream() -> None:
    item = error_pb2.Error(
        code=5, reason="UNKNOWN_RECIPIENT", message="there is no bob", metadata={"index": "2", "retry": "NEVER"}
    )
    error = from_error(item)
    assert (error.code, error.reason, error.retry, error.index) == ("NOT_FOUND", "UNKNOWN_RECIPIENT", "NEVER", 2)
    assert str(error) == "NOT_FOUND / UNKNOWN_RECIPIENT: there is no bob"


@pytest.mark.parametrize(
    ("item", "retry"),
    [
        (error_pb2.Error(code=14), "RECONNECT"),
        (error_pb2.Error(code=3), "NEVER"),
        (error_pb2.Error(code=13, reason="INTERNAL"), "NEVER"),
        (error_pb2.Error(code=9, reason="OF_A_NEWER_SERVER"), "NEVER"),
        (error_pb2.Error(code=9, reason="OF_A_NEWER_SERVER", metadata={"retry": "SAME"}), "SAME"),
        # An unknown code is told as UNKNOWN, which a lost connection is told as, too.
        (error_pb2.Error(code=99), "RECONNECT"),
    ],
)
def test_what_a_client_does_with_it(item: error_pb2.Error, retry: str) -> None:
    assert from_error(item).retry == retry


def test_the_table_gives_what_is_not_said() -> None:
    error = BusError("too fast", reason="RATE_LIMITED", retry_delay=2)
    assert (error.code, error.retry, error.retry_delay) == ("RESOURCE_EXHAUSTED", "SAME", 2)
