"""Addresses, keys and unary calls."""

from __future__ import annotations

import asyncio
import itertools

import grpc
import pytest
from scripted_bus import Refusal, ScriptedBus, delivery, opened, position, stored

from agentbus import AgentBus, BusError, ClosedError, connect
from agentbus.connection import parse_url
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
