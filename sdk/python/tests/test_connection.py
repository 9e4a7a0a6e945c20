"""Addresses, keys and unary calls."""

from __future__ import annotations

import asyncio
import itertools
import logging

import grpc
import pytest
from link_cutter import LinkCutter
from scripted_bus import Refusal, ScriptedBus, delivery, opened, position, stored

from agentbus import AgentBus, BusError, BusOptions, ClosedError, connect
from agentbus.addresses import Addresses
from agentbus.connection import parse_url
from agentbus.failure_row import FailureRow
from agentbus.v1 import admin_service_pb2, agent_pb2, agent_service_pb2, room_service_pb2


async def pong(_: object) -> admin_service_pb2.PingResponse:
    return admin_service_pb2.PingResponse(node_id="node-1")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:7400", ("127.0.0.1:7400", False)),
        ("https://bus.example.org", ("bus.example.org:443", True)),
        ("http://[::1]:7400/", ("[::1]:7400", False)),
        ("localhost:7400", ("localhost:7400", False)),
        ("unix:/run/bus.sock", ("unix:/run/bus.sock", False)),
    ],
)
def test_urls(url: str, expected: tuple[str, bool]) -> None:
    assert parse_url(url) == expected


@pytest.mark.parametrize("url", ["ftp://a:1", "http://", "http://a/path", "http://me:secret@a:1", "http://a:1?x=y"])
def test_urls_that_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"URL|no more than"):
        AgentBus(url)


def test_options_that_there_are_not_are_refused() -> None:
    with pytest.raises(TypeError, match="apikey"):
        AgentBus("http://a:1", apikey="x")  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="max_outstanding"):
        AgentBus("http://a:1", max_outstanding_messages=0)
    with pytest.raises(ValueError, match="at least one"):
        AgentBus([])


async def test_the_key_goes_with_every_call_and_may_change(scripted: ScriptedBus) -> None:
    scripted.unary["Ping"] = pong
    keys = itertools.count(1)
    async with AgentBus(scripted.url, api_key=lambda: f"key-{next(keys)}") as bus:
        await bus.ping()
        await bus.ping()
    assert [each["authorization"] for each in scripted.metadata] == ["Bearer key-1", "Bearer key-2"]


async def test_the_next_address_is_tried(scripted: ScriptedBus) -> None:
    scripted.unary["Ping"] = pong
    gone = ScriptedBus()
    await gone.start()
    await gone.stop()
    async with AgentBus([gone.url, scripted.url], close_timeout=0) as bus:
        assert (await bus.ping()).node_id == "node-1"
        assert bus.url == scripted.url


def test_an_address_that_failed_is_the_last_choice_for_a_while() -> None:
    now = 0.0
    addresses = Addresses(["a", "b", "c"], lambda: now)
    addresses.failed("a")
    addresses.failed("a")
    assert addresses.url == "b", "told twice of one failure, it moves once"
    addresses.failed("b")
    assert addresses.url == "c"
    addresses.failed("c")
    assert addresses.url == "a", "all failed: the one whose time is over first"
    addresses.failed("a")
    assert addresses.url == "b", "the second failure in a row of a: 10 s"
    addresses.worked("b")
    addresses.failed("b")
    assert addresses.url == "c"
    now = 5.5
    addresses.failed("c")
    assert addresses.url == "b", "the time of b is over, and that of a is not"
    alone = Addresses(["a"])
    alone.failed("a")
    assert alone.url == "a"


@pytest.mark.parametrize(
    "options",
    [
        {"ping_interval": 0},
        {"ping_timeout": 61},
        {"attempt_timeout": -1},
        {"call_timeout": 0},
        {"max_retries": 1.5},
        {"backoff": {"initial": 0}},
        {"backoff": {"initial": 2, "max": 1}},
        {"backoff": {"factor": 11}},
    ],
)
def test_link_options_out_of_range_are_refused(options: BusOptions) -> None:
    with pytest.raises(ValueError, match=r" (is|are) not "):
        AgentBus(**options)


async def test_s3_sc_008_a_call_that_is_not_answered_goes_to_the_next_address(scripted: ScriptedBus) -> None:
    """S3-SC-008: the caller's time is enough for both."""
    silent = ScriptedBus()
    await silent.start()
    asked = asyncio.Event()

    async def hang(_: object) -> None:
        asked.set()
        await asyncio.Event().wait()

    silent.unary["Ping"] = hang
    scripted.unary["Ping"] = pong
    async with AgentBus([silent.url, scripted.url], call_timeout=2, close_timeout=0) as bus:
        assert (await bus.ping()).node_id == "node-1"
        assert asked.is_set()
        assert bus.url == scripted.url
    await silent.stop()


async def test_s3_e_2_a_link_that_swallows_everything_is_left_with_all_that_is_on_it(scripted: ScriptedBus) -> None:
    """S3-E.2, S3-SC-003: no FIN and no reset comes from a frozen server or a host that is gone."""
    other = ScriptedBus()
    await other.start()
    cutter = LinkCutter(scripted.port)
    await cutter.start()
    other.unary["Ping"] = scripted.unary["Ping"] = pong
    # Only PINGs can tell in the time that the test has: answers and heartbeats are given longer.
    options: BusOptions = {"ping_interval": 0.1, "ping_timeout": 0.2, "attempt_timeout": 300, "close_timeout": 0}
    async with AgentBus([cutter.url, other.url], **options) as bus:
        alice = bus.agent("alice")
        reader = alice.subscribe(channels=["science:explore"])
        reading = asyncio.ensure_future(anext(reader))
        (await scripted.subscribes.get()).send(opened(position(0), seconds=300))
        sending = asyncio.ensure_future(alice.send("a", channel="science:explore"))
        sent = await (await scripted.publishes.get()).receive()
        cutter.swallowing = True
        publishing = await asyncio.wait_for(other.publishes.get(), 20)
        resent = await publishing.receive()
        assert resent.publish == sent.publish
        publishing.send(stored(resent, 1))
        await sending
        (await asyncio.wait_for(other.subscribes.get(), 20)).send(opened(position(0)), delivery(1))
        assert (await reading).text == "m1"
        assert bus.url == other.url
        assert (await bus.ping()).node_id == "node-1"
    await cutter.stop()
    await other.stop()


async def test_streams_move_to_the_next_address(scripted: ScriptedBus) -> None:
    gone = ScriptedBus()
    await gone.start()
    await gone.stop()
    async with AgentBus([gone.url, scripted.url], close_timeout=0) as bus:
        sending = asyncio.create_task(bus.agent("alice").send("a", channel="science:explore"))
        publishing = await scripted.publishes.get()
        publishing.send(stored(await publishing.receive(), 1))
        await sending
    async with AgentBus([gone.url, scripted.url], close_timeout=0) as bus:
        reader = bus.agent("alice").subscribe(channels=["science:explore"])
        reading = asyncio.ensure_future(anext(reader))
        (await scripted.subscribes.get()).send(opened(position(0)), delivery(1))
        assert (await reading).text == "m1"


async def test_a_call_is_repeated_three_times_at_most(scripted: ScriptedBus, bus: AgentBus) -> None:
    calls: list[object] = []

    async def ping(request: object) -> admin_service_pb2.PingResponse:
        calls.append(request)
        raise Refusal(grpc.StatusCode.UNAVAILABLE, "STORAGE_UNAVAILABLE")

    scripted.unary["Ping"] = ping
    with pytest.raises(BusError) as caught:
        await bus.ping()
    assert caught.value.reason == "STORAGE_UNAVAILABLE"
    assert len(calls) == 4


async def test_what_cannot_help_is_not_repeated_and_a_delete_never(scripted: ScriptedBus, bus: AgentBus) -> None:
    calls: list[str] = []

    def refuse(name: str, refusal: Refusal) -> None:
        async def answer(_: object) -> None:
            calls.append(name)
            raise refusal

        scripted.unary[name] = answer

    refuse("Ping", Refusal(grpc.StatusCode.PERMISSION_DENIED, "ADMIN_ONLY"))
    refuse("DeleteRoom", Refusal(grpc.StatusCode.UNAVAILABLE, "DRAINING"))
    with pytest.raises(BusError):
        await bus.ping()
    with pytest.raises(BusError):
        await bus.rooms.delete("science")
    assert calls == ["Ping", "DeleteRoom"]


@pytest.mark.parametrize("code", [grpc.StatusCode.CANCELLED, grpc.StatusCode.INTERNAL])
async def test_a_call_that_the_server_ends_is_not_taken_for_a_cancellation(
    scripted: ScriptedBus, bus: AgentBus, code: grpc.StatusCode
) -> None:
    attempts = itertools.count()

    async def ping(request: object) -> admin_service_pb2.PingResponse:
        if next(attempts) == 0:
            raise Refusal(code)
        return await pong(request)

    scripted.unary["Ping"] = ping
    assert (await bus.ping()).node_id == "node-1"


async def test_connect_fails_when_nobody_answers() -> None:
    gone = ScriptedBus()
    await gone.start()
    await gone.stop()
    with pytest.raises(BusError) as caught:
        await connect(gone.url)
    assert caught.value.code == "UNAVAILABLE"


async def test_a_bus_that_is_away_is_told_once_and_again_the_next_time(
    scripted: ScriptedBus, caplog: pytest.LogCaptureFixture
) -> None:
    failures = 0

    async def register(request: agent_service_pb2.RegisterAgentRequest) -> agent_service_pb2.RegisterAgentResponse:
        nonlocal failures
        failures += 1
        if failures % 10:
            raise Refusal(grpc.StatusCode.UNAVAILABLE)
        return agent_service_pb2.RegisterAgentResponse(agent=request.agent)

    async def join(_: room_service_pb2.JoinChannelRequest) -> room_service_pb2.JoinChannelResponse:
        return room_service_pb2.JoinChannelResponse(joined=True)

    scripted.unary.update(RegisterAgent=register, JoinChannel=join)
    told: list[str] = []
    async with AgentBus(scripted.url, on_warning=told.append) as bus:
        for who in ("alice", "bob"):
            await bus.agent(who, kind="ai_agent").join("science:a")
    assert [text.split(" fails again and again")[0] for text in told] == ["registering alice", "registering bob"]
    assert all("UNAVAILABLE" in text and text.endswith(f"going on trying, now {scripted.url}") for text in told)
    async with AgentBus(scripted.url) as bus:
        with caplog.at_level(logging.WARNING, "agentbus"):
            await bus.agent("carol", kind="ai_agent").join("science:a")
    assert [record.name for record in caplog.records] == ["agentbus"]


def test_failures_are_worth_telling_after_four_or_a_second() -> None:
    now = 0.0
    quick, slow = FailureRow(lambda: now), FailureRow(lambda: now)
    assert [quick.add() for _ in range(5)] == [False, False, False, True, False]
    quick.clear()
    assert not quick.add()
    slow.begin()
    now = 1.0
    assert [slow.add(), slow.add()] == [True, False]


async def test_a_profile_is_registered_once_before_the_first_operation(scripted: ScriptedBus, bus: AgentBus) -> None:
    order: list[str] = []

    async def register(request: agent_service_pb2.RegisterAgentRequest) -> agent_service_pb2.RegisterAgentResponse:
        order.append("register")
        assert request.agent.kind == agent_pb2.AGENT_KIND_AI_AGENT
        assert [each.name for each in request.agent.capabilities] == ["translate", "sum"]
        return agent_service_pb2.RegisterAgentResponse(agent=request.agent)

    async def join(request: room_service_pb2.JoinChannelRequest) -> room_service_pb2.JoinChannelResponse:
        order.append(f"join {request.room}:{request.channel}")
        return room_service_pb2.JoinChannelResponse(joined=True)

    scripted.unary.update(RegisterAgent=register, JoinChannel=join)
    alice = bus.agent("alice", kind="ai_agent", capabilities=["translate", {"name": "sum", "description": "adds"}])
    sending = asyncio.create_task(alice.send("x", to="bob"))
    call = await scripted.publishes.get()
    request = await call.receive()
    assert order == ["register"]
    call.send(stored(request, 1))
    await sending
    await asyncio.gather(alice.join("science:a"), alice.join("science:b"))
    assert order == ["register", "join science:a", "join science:b"]


async def test_one_agent_object_for_each_id(bus: AgentBus) -> None:
    alice = bus.agent("alice")
    assert bus.agent("alice") is alice
    with pytest.raises(ValueError, match="in use"):
        bus.agent("alice", kind="human")
    await alice.close()
    assert bus.agent("alice") is not alice
    with pytest.raises(ValueError, match="needs an id"):
        bus.agent("")


async def test_a_watch_that_is_cut_tells_again_who_is_known(scripted: ScriptedBus, bus: AgentBus) -> None:
    watched = bus.agents.watch(["alice"], skip_current=True)
    told = asyncio.ensure_future(anext(watched))
    first = await scripted.watches.get()
    assert (await first.receive()).skip_current
    first.cut()
    second = await scripted.watches.get()
    assert not (await second.receive()).skip_current, "what changed meanwhile must not be missed"
    response = agent_service_pb2.WatchAgentsResponse()
    response.changes.add(kind=agent_service_pb2.AGENT_CHANGE_KIND_CURRENT).agent.agent_id = "alice"
    second.send(response)
    change = await told
    assert (change.change, change.agent.agent_id) == ("current", "alice")


async def test_closing_the_bus_ends_a_watch_and_does_not_cancel_who_watches(
    scripted: ScriptedBus, bus: AgentBus
) -> None:
    told = asyncio.ensure_future(anext(bus.agents.watch()))
    await scripted.watches.get()
    await bus.close()
    with pytest.raises(ClosedError):
        await told


async def test_a_closed_bus_says_so(scripted: ScriptedBus) -> None:
    bus = AgentBus(scripted.url)
    await bus.close()
    await bus.close()
    with pytest.raises(ClosedError):
        await bus.ping()
