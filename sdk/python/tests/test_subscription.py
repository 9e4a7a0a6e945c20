"""Reading over a stream that is cut at every point."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

import grpc
import pytest
from scripted_bus import Refusal, ScriptedBus, SubscribeCall, delivery, message, opened, position

from agentbus import (
    AgentBus,
    BusError,
    CaughtUp,
    ClosedError,
    Cut,
    Gap,
    Heartbeat,
    Message,
    Opened,
    Subscription,
    SubscriptionEnded,
    subscription,
)
from agentbus.v1 import bus_service_pb2


async def take(reader: Subscription, count: int) -> list[str]:
    return [(await anext(reader)).text for _ in range(count)]


async def start(scripted: ScriptedBus, reader: Subscription) -> tuple[SubscribeCall, asyncio.Task[Subscription]]:
    """Lets a subscription open its stream; the test answers."""
    opening = asyncio.create_task(reader.ready())
    return await scripted.subscribes.get(), opening


async def test_asks_for_what_was_said(scripted: ScriptedBus, bus: AgentBus) -> None:
    reader = bus.agent("alice").subscribe(
        channels=["science:explore"],
        patterns=["lab.*:*"],
        start={"last": 5},
        filter={"types": ["event"], "senders": ["bob"], "min_priority": 3},
        echo=True,
        exclusive="one",
        on_gap="fail",
        max_messages=7,
        heartbeat_interval=2.5,
    )
    call, opening = await start(scripted, reader)
    request = await call.receive()
    assert (request.agent_id, list(request.channels), list(request.patterns)) == (
        "alice",
        ["science:explore"],
        ["lab.*:*"],
    )
    assert (request.last, request.echo, request.exclusive, request.max_messages) == (5, True, "one", 7)
    assert (list(request.filter.types), list(request.filter.senders), request.filter.min_priority) == ([2], ["bob"], 3)
    assert request.on_gap == bus_service_pb2.ON_GAP_FAIL
    assert request.heartbeat_interval.ToMilliseconds() == 2500
    call.send(opened())
    assert await opening is reader


async def test_a_stream_that_finishes_without_an_end_was_cut(scripted: ScriptedBus, bus: AgentBus) -> None:
    reader = bus.agent("alice").subscribe(channels=["science:explore"])
    reading = asyncio.create_task(take(reader, 2))
    first = await scripted.subscribes.get()
    first.send(opened(position(0)), delivery(1))
    first.finish()
    again = await scripted.subscribes.get()
    assert list((await again.receive()).resume.positions) == [position(1)]
    again.send(opened(position(1)), delivery(2))
    assert await reading == ["m1", "m2"]


async def test_an_agent_id_with_an_at_sign_has_one_position(scripted: ScriptedBus, bus: AgentBus) -> None:
    inboxes = ["_inbox:me@a.org", "_inbox:me@b.org"]
    reader = bus.agent("alice").subscribe()
    call, opening = await start(scripted, reader)
    call.send(opened(*(position(0, inbox) for inbox in inboxes)), delivery(1, channel=inboxes[0]))
    await opening
    await take(reader, 1)
    assert sorted(reader.positions()) == [position(1, inboxes[0]), position(0, inboxes[1])]


@pytest.mark.parametrize("options", [{"chanels": ["a:b"]}, {"start": {"first": 1}}, {"channels": "science:explore"}])
async def test_options_that_make_no_sense_are_refused_at_once(bus: AgentBus, options: dict[str, object]) -> None:
    with pytest.raises((TypeError, ValueError)):
        bus.agent("alice").subscribe(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize("cut_after", range(5))
async def test_every_message_once_wherever_the_stream_is_cut(
    scripted: ScriptedBus, bus: AgentBus, cut_after: int
) -> None:
    responses = [opened(position(3)), delivery(4), delivery(5, 6), delivery(7)]
    reader = bus.agent("alice").subscribe(channels=["science:explore"])
    reading = asyncio.create_task(take(reader, 4))
    first = await scripted.subscribes.get()
    assert (await first.receive()).WhichOneof("start") is None
    first.send(*responses[:cut_after])
    if cut_after < 4:
        first.cut()
        second = await scripted.subscribes.get()
        request = await second.receive()
        if cut_after == 0:
            assert request.WhichOneof("start") is None, "nothing was received: it starts as it was asked to"
            second.send(*responses)
        else:
            last = {1: 3, 2: 4, 3: 6}[cut_after]
            assert list(request.resume.positions) == [position(last)]
            second.send(opened(position(last)), *responses[cut_after:])
    assert await reading == ["m4", "m5", "m6", "m7"]
    assert reader.positions() == [position(7)]


async def test_a_stream_that_knew_no_channel_resumes_from_the_beginning_of_new_ones(
    scripted: ScriptedBus, bus: AgentBus
) -> None:
    reader = bus.agent("alice").subscribe(patterns=["science:*"])
    call, opening = await start(scripted, reader)
    call.send(opened())
    await opening
    call.cut()
    reading = asyncio.create_task(take(reader, 1))
    again = await scripted.subscribes.get()
    request = await again.receive()
    assert request.WhichOneof("start") == "resume"
    assert list(request.resume.positions) == []
    again.send(opened(position(0)), delivery(1))
    assert await reading == ["m1"]


async def test_positions_move_over_what_was_filtered_and_over_empty_responses(
    scripted: ScriptedBus, bus: AgentBus
) -> None:
    reader = bus.agent("alice").subscribe(channels=["science:explore", "science:general"])
    call, opening = await start(scripted, reader)
    call.send(opened(position(1), position(1, "science:general")))
    await opening
    call.send(bus_service_pb2.SubscribeResponse(positions=[position(9, "science:general")]))
    behind = delivery(2)
    behind.positions[:] = [position(5)]
    call.send(behind)
    assert await take(reader, 1) == ["m2"]
    assert sorted(reader.positions()) == [position(2), position(9, "science:general")]
    call.cut()
    reading = asyncio.create_task(take(reader, 1))
    again = await scripted.subscribes.get()
    assert sorted((await again.receive()).resume.positions) == [position(5), position(9, "science:general")]
    again.send(opened(), delivery(6))
    await reading


async def test_a_channel_that_is_gone_is_not_resumed_from(scripted: ScriptedBus, bus: AgentBus) -> None:
    reader = bus.agent("alice").subscribe(patterns=["science:*"])
    call, opening = await start(scripted, reader)
    call.send(opened(position(1), position(1, "science:gone")))
    await opening
    call.cut()
    reading = asyncio.create_task(take(reader, 1))
    again = await scripted.subscribes.get()
    again.send(opened(position(1)), delivery(2))
    await reading
    assert reader.positions() == [position(2)]


@pytest.mark.parametrize(
    "refusal",
    [
        Refusal(grpc.StatusCode.UNAVAILABLE, "DRAINING"),
        Refusal(grpc.StatusCode.INTERNAL),
        Refusal(grpc.StatusCode.CANCELLED),
        Refusal(grpc.StatusCode.UNKNOWN),
        Refusal(grpc.StatusCode.FAILED_PRECONDITION, "OF_A_NEWER_SERVER", retry="RECONNECT"),
    ],
)
async def test_what_a_retry_can_help_is_retried(scripted: ScriptedBus, bus: AgentBus, refusal: Refusal) -> None:
    reader = bus.agent("alice").subscribe(channels=["science:explore"])
    reading = asyncio.create_task(take(reader, 1))
    (await scripted.subscribes.get()).cut(refusal)
    (await scripted.subscribes.get()).send(opened(position(0)), delivery(1))
    assert await reading == ["m1"]


async def test_what_a_retry_cannot_help_is_raised(scripted: ScriptedBus, bus: AgentBus) -> None:
    reader = bus.agent("alice").subscribe(channels=["science:explore"], on_gap="fail")
    reading = asyncio.create_task(take(reader, 1))
    (await scripted.subscribes.get()).cut(Refusal(grpc.StatusCode.OUT_OF_RANGE, "GAP"))
    with pytest.raises(BusError) as caught:
        await reading
    assert (caught.value.reason, caught.value.code, caught.value.retry) == ("GAP", "OUT_OF_RANGE", "NEVER")
    with pytest.raises(BusError):
        await anext(reader)
    assert scripted.subscribes.empty()


@pytest.mark.parametrize(
    ("value", "reason"), [(1, "TAKEN_OVER"), (2, "CHANNEL_DELETED"), (3, "AGENT_GONE"), (99, "99")]
)
async def test_an_end_is_final_and_comes_after_what_was_delivered(
    scripted: ScriptedBus, bus: AgentBus, value: int, reason: str
) -> None:
    reader = bus.agent("alice").subscribe(channels=["science:explore"])
    reading = asyncio.create_task(take(reader, 2))
    call = await scripted.subscribes.get()
    last = delivery(1)
    last.end.reason = value  # type: ignore[assignment]
    last.end.channel = "science:explore"
    call.send(opened(position(0)), last)
    call.finish()
    with pytest.raises(SubscriptionEnded) as caught:
        await reading
    assert (caught.value.reason, caught.value.channel) == (reason, "science:explore")
    assert reader.positions() == [position(1)]
    assert scripted.subscribes.empty()


async def test_go_away_moves_to_a_new_stream_without_losing_what_came_with_it(
    scripted: ScriptedBus, bus: AgentBus
) -> None:
    reader = bus.agent("alice").subscribe(channels=["science:explore"])
    reading = asyncio.create_task(take(reader, 3))
    call = await scripted.subscribes.get()
    leaving = delivery(1, 2)
    leaving.go_away.grace_duration.FromSeconds(5)
    call.send(opened(position(0)), leaving)
    again = await scripted.subscribes.get()
    assert list((await again.receive()).resume.positions) == [position(2)]
    again.send(opened(position(2)), delivery(3))
    assert await reading == ["m1", "m2", "m3"]
    await call.ended.wait()


async def test_silence_for_two_and_a_half_heartbeats_is_a_cut(scripted: ScriptedBus, bus: AgentBus) -> None:
    reader = bus.agent("alice").subscribe(channels=["science:explore"])
    reading = asyncio.create_task(take(reader, 1))
    silent = await scripted.subscribes.get()
    silent.send(opened(position(0), seconds=0.01))
    again = await scripted.subscribes.get()
    again.send(opened(position(0)), delivery(1))
    assert await reading == ["m1"]
    await silent.ended.wait()


async def test_an_address_that_does_not_open_the_stream_is_given_up(
    scripted: ScriptedBus, bus: AgentBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscription, "OPENING_SECONDS", 0.02)
    reader = bus.agent("alice").subscribe(channels=["science:explore"])
    call, opening = await start(scripted, reader)
    again = await scripted.subscribes.get()
    monkeypatch.setattr(subscription, "OPENING_SECONDS", 15)
    while not scripted.subscribes.empty():
        again = await scripted.subscribes.get()
    again.send(opened(position(0)))
    await opening
    await call.ended.wait()


async def test_events_tell_everything_in_order(scripted: ScriptedBus, bus: AgentBus) -> None:
    reader = bus.agent("alice").subscribe(channels=["science:explore"], start="earliest")
    call, opening = await start(scripted, reader)
    told = delivery(4)
    told.gaps.add(room="science", channel="explore", first_sequence=1, last_sequence=3, cause=1)
    told.caught_up = True
    heartbeat = bus_service_pb2.SubscribeResponse()
    heartbeat.server_time.FromSeconds(1_000)
    call.send(opened(position(0)), told, heartbeat)
    call.cut()
    again_told = delivery(5)
    again_told.caught_up = True
    events: list[object] = []
    async for event in reader.events():
        events.append(event)
        if isinstance(event, Cut):
            reopening = asyncio.create_task(_open_with(scripted, opened(position(4)), again_told))
        if len(events) == 8:
            break
    await opening
    await reopening
    first, gap, four, caught_up, beat, cut, second, five = events
    assert first == Opened("node-1", "alice", 15.0)
    assert gap == Gap("science:explore", 1, 3, "retention")
    assert isinstance(four, Message)
    assert four.text == "m4"
    assert isinstance(caught_up, CaughtUp)
    assert isinstance(beat, Heartbeat)
    assert beat.server_time.timestamp() == 1_000
    assert isinstance(cut, Cut)
    assert isinstance(second, Opened)
    assert isinstance(five, Message), "a stream that was opened again catches up again, which is not told"


async def test_a_gap_nobody_handles_is_logged_and_a_function_gets_it_instead(
    scripted: ScriptedBus, bus: AgentBus, caplog: pytest.LogCaptureFixture
) -> None:
    gaps: list[Gap] = []
    caught_up: list[bool] = []
    for options in ({}, {"on_gap": gaps.append, "on_caught_up": lambda: caught_up.append(True)}):
        reader = bus.agent("alice").subscribe(channels=["science:explore"], **options)  # type: ignore[arg-type]
        reading = asyncio.create_task(take(reader, 2))
        call = await scripted.subscribes.get()
        told = delivery(9)
        told.caught_up = True
        told.gaps.add(room="science", channel="explore", first_sequence=1, cause=2)
        call.send(opened(position(0)), told, delivery(10))
        with caplog.at_level(logging.WARNING, "agentbus"):
            await reading
    assert len([record for record in caplog.records if "new_epoch" in record.getMessage()]) == 1
    assert gaps == [Gap("science:explore", 1, None, "new_epoch")]
    assert caught_up == [True]


async def test_a_cancelled_read_loses_nothing_and_cuts_nothing(scripted: ScriptedBus, bus: AgentBus) -> None:
    reader = bus.agent("alice").subscribe(channels=["science:explore"])
    call, opening = await start(scripted, reader)
    call.send(opened(position(0)))
    await opening
    waiting = asyncio.create_task(take(reader, 1))
    await asyncio.wait({waiting}, timeout=0)
    waiting.cancel()
    await asyncio.wait({waiting})
    call.send(delivery(1), delivery(2))
    assert await take(reader, 2) == ["m1", "m2"]
    assert scripted.subscribes.empty()


async def test_close_ends_the_loop(scripted: ScriptedBus, bus: AgentBus) -> None:
    reader = bus.agent("alice").subscribe(channels=["science:explore"])
    reading = asyncio.create_task(_all(reader))
    call = await scripted.subscribes.get()
    call.send(opened(position(0)))
    await reader.ready()
    await reader.close()
    assert await reading == []
    await call.ended.wait()
    with pytest.raises(ClosedError):
        await reader.ready()


@pytest.mark.real_pauses
async def test_close_does_not_wait_for_a_pause(scripted: ScriptedBus, bus: AgentBus) -> None:
    reader = bus.agent("alice").subscribe(channels=["science:explore"])
    reading = asyncio.create_task(_all(reader))
    refusal = Refusal(grpc.StatusCode.UNAVAILABLE, "OVERLOADED", delay=3_600)
    (await scripted.subscribes.get()).cut(refusal)
    await asyncio.wait({reading}, timeout=0)
    await bus.agent("alice").close()
    assert await reading == []


async def test_two_readers_of_one_subscription_are_an_error(scripted: ScriptedBus, bus: AgentBus) -> None:
    reader = bus.agent("alice").subscribe(channels=["science:explore"])
    reading = asyncio.create_task(_all(reader))
    await scripted.subscribes.get()
    with pytest.raises(RuntimeError, match="another task"):
        await anext(reader)
    await reader.close()
    await reading


async def test_a_slow_loop_holds_the_server_back(scripted: ScriptedBus, bus: AgentBus) -> None:
    """What is not read stays with the server: the client reads one response ahead of the loop at most."""
    reader = bus.agent("alice").subscribe(channels=["science:explore"])
    call, opening = await start(scripted, reader)
    call.send(opened(position(0)))
    await opening
    large = [bus_service_pb2.SubscribeResponse(messages=[message(n, "x" * 500_000)]) for n in range(1, 201)]
    call.send(*large)
    call.finish()
    assert (await anext(reader)).sequence == 1
    # HTTP/2 windows and socket buffers hold some; all of the 100 MB would fit only in this process.
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(call.ended.wait(), 1)
    assert call.written < 60
    for sequence in range(2, 201):
        assert (await anext(reader)).sequence == sequence
    await call.ended.wait()


class Kept:
    """An asynchronous store that remembers each save."""

    def __init__(self, positions: Sequence[str] = ()) -> None:
        self.saves: list[list[str]] = []
        self.names: set[str] = set()
        self._positions = positions

    async def load(self, name: str) -> Sequence[str]:
        self.names.add(name)
        return self._positions

    async def save(self, name: str, positions: Sequence[str]) -> None:
        self.names.add(name)
        self.saves.append(list(positions))


async def test_a_named_subscription_goes_on_where_it_stopped(scripted: ScriptedBus, bus: AgentBus) -> None:
    store = Kept([position(5)])
    alice = bus.agent("alice")
    async with alice.subscribe(channels=["science:explore"], start="earliest", name="work", positions=store) as reader:
        reading = asyncio.create_task(take(reader, 1))
        call = await scripted.subscribes.get()
        assert list((await call.receive()).resume.positions) == [position(5)]
        call.send(opened(position(5)), delivery(6))
        await reading
    assert store.names == {"alice/work"}


async def test_a_message_is_read_when_the_loop_comes_back(scripted: ScriptedBus, bus: AgentBus) -> None:
    store = Kept()
    alice = bus.agent("alice")
    opening = asyncio.create_task(_open_with(scripted, opened(position(0)), delivery(1, 2, 3)))
    reader = alice.subscribe(channels=["science:explore"], name="work", positions=store)

    async def work() -> None:
        async with reader:
            async for each in reader:
                if each.text == "m2":
                    raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await work()
    await opening
    assert store.saves[-1] == [position(1)], "m2 was in hand: it is read again"
    assert reader.positions() == [position(2)]


async def test_the_bus_keeps_positions_in_memory_by_default(scripted: ScriptedBus, bus: AgentBus) -> None:
    alice = bus.agent("alice")
    opening = asyncio.create_task(_open_with(scripted, opened(position(0)), delivery(1), delivery(2)))
    async with alice.subscribe(channels=["science:explore"], name="work") as reader:
        assert await take(reader, 2) == ["m1", "m2"]
    await opening
    async with alice.subscribe(channels=["science:explore"], name="work") as reader:
        reading = asyncio.create_task(take(reader, 1))
        call = await scripted.subscribes.get()
        assert list((await call.receive()).resume.positions) == [position(1)]
        call.send(opened(position(1)), delivery(2))
        assert await reading == ["m2"]


async def _all(reader: Subscription) -> list[str]:
    return [each.text async for each in reader]


async def _open_with(scripted: ScriptedBus, *responses: bus_service_pb2.SubscribeResponse) -> None:
    (await scripted.subscribes.get()).send(*responses)
