"""Sending over a stream that is cut at every point."""

from __future__ import annotations

import asyncio
import contextlib

import grpc
import pytest
from scripted_bus import PublishCall, Refusal, ScriptedBus, refused, stored

from agentbus import AgentBus, BusError, ClosedError, outbox
from agentbus.v1 import bus_service_pb2, message_pb2, room_pb2

Seen = tuple[bus_service_pb2.PublishStreamRequest, message_pb2.Message]


async def test_sends_and_tells_where_it_stands(scripted: ScriptedBus, bus: AgentBus) -> None:
    sending = asyncio.ensure_future(bus.agent("alice").send({"a": [1, None]}, channel="science:explore"))
    call = await scripted.publishes.get()
    request = await call.receive()
    (message,) = request.publish.messages
    assert (message.text, message.content_type) == ('{"a":[1,null]}', "application/json")
    assert len(message.id) == 36
    response = stored(request, 7)
    response.published.durability = room_pb2.DURABILITY_SYNCED
    response.published.results[0].audience.count = 1
    response.published.results[0].audience.agents.append("bob")
    call.send(response)
    receipt = await sending
    assert (receipt.id, receipt.position, receipt.duplicate) == (message.id, "science:explore@000000a1.7", False)
    assert receipt.durability == "synced"
    assert receipt.audience is not None
    assert receipt.audience.agents == ("bob",)


@pytest.mark.parametrize("answered", [0, 1, 2])
async def test_s3_e_2_a_cut_at_any_point_resends_what_was_not_answered(
    scripted: ScriptedBus, bus: AgentBus, answered: int
) -> None:
    """S3-E.2: partition: what was sent meanwhile is stored once, in order."""
    alice = bus.agent("alice")
    sending, requests, call = [], [], None
    for text in "abc":
        sending.append(asyncio.ensure_future(alice.send(text, channel="science:explore")))
        call = call or await scripted.publishes.get()
        requests.append(await call.receive())
    assert call is not None
    call.send(*(stored(request, 1 + index) for index, request in enumerate(requests[:answered])))
    call.cut()
    again = await scripted.publishes.get()
    for index in range(answered, 3):
        request = await again.receive()
        assert request.publish == requests[index].publish
        again.send(stored(request, 1 + index))
    receipts = await asyncio.gather(*sending)
    assert [(receipt.id, receipt.position[-1]) for receipt in receipts] == [
        (request.publish.messages[0].id, str(1 + index)) for index, request in enumerate(requests)
    ]


async def test_a_duplicate_acknowledgement_is_a_success(scripted: ScriptedBus, bus: AgentBus) -> None:
    sending = asyncio.ensure_future(bus.agent("alice").send("a", channel="science:explore"))
    call = await scripted.publishes.get()
    await call.receive()
    call.cut()
    again = await scripted.publishes.get()
    response = stored(await again.receive(), 4)
    response.published.results[0].duplicate = True
    again.send(response)
    receipt = await sending
    assert receipt.duplicate
    assert receipt.position.endswith(".4")


async def test_order_holds_when_the_server_wants_a_resend(scripted: ScriptedBus, bus: AgentBus) -> None:
    alice = bus.agent("alice")
    first = asyncio.ensure_future(alice.send("a", channel="science:explore"))
    call = await scripted.publishes.get()
    one = await call.receive()
    second = asyncio.ensure_future(alice.send("b", channel="science:explore"))
    two = await call.receive()
    call.send(refused(one, 14, "STORAGE_UNAVAILABLE"), refused(two, 10, "RESEND_REQUIRED"))
    resent = [await call.receive(), await call.receive()]
    assert [(request.request_id, request.publish) for request in resent] == [(1, one.publish), (2, two.publish)]
    call.send(stored(resent[0], 1), stored(resent[1], 2))
    assert [(await each).position[-1] for each in (first, second)] == ["1", "2"]


async def test_a_refused_message_fails_alone(scripted: ScriptedBus, bus: AgentBus) -> None:
    alice = bus.agent("alice")
    sending = [asyncio.ensure_future(alice.send(text, channel="science:explore")) for text in ("a", "bad", "c")]
    call = await scripted.publishes.get()
    answering = asyncio.ensure_future(_refuse_bad(call))
    with pytest.raises(BusError) as caught:
        await sending[1]
    assert caught.value.reason == "MESSAGE_TOO_LARGE"
    assert [(await sending[index]).position[-1] for index in (0, 2)] == ["1", "2"]
    answering.cancel()


async def test_a_deadline_says_that_the_outcome_is_unknown(scripted: ScriptedBus, bus: AgentBus) -> None:
    alice = bus.agent("alice")
    late = asyncio.ensure_future(alice.send("a", channel="science:explore", timeout=3))
    call = await scripted.publishes.get()
    await call.receive()
    with pytest.raises(BusError, match="unknown") as caught:
        await late
    assert (caught.value.code, caught.value.reason, caught.value.retry) == ("DEADLINE_EXCEEDED", "DEADLINE", "SAME")
    call.cut()
    # Given up: the next stream starts with what is sent next.
    sending = asyncio.ensure_future(alice.send("b", channel="science:explore"))
    again = await scripted.publishes.get()
    request = await again.receive()
    assert [message.text for message in request.publish.messages] == ["b"]
    again.send(stored(request, 1))
    await sending


async def test_send_waits_for_room(scripted: ScriptedBus) -> None:
    async with AgentBus(scripted.url, max_outstanding_messages=2, close_timeout=0) as bus:
        alice = bus.agent("alice")
        sending = [asyncio.ensure_future(alice.send(str(n), channel="science:explore")) for n in range(5)]
        call = await scripted.publishes.get()
        seen = await _receive(call, 2)
        with pytest.raises(BusError, match="no room"):
            await alice.send("late", channel="science:explore", timeout=0.05)
        call.send(*(stored(request, 1) for request in {r.request_id: r for r, _ in seen}.values()))
        seen += await _receive(call, 2)
        assert [message.text for _, message in seen] == ["0", "1", "2", "3"]
        assert not sending[4].done()
        for each in sending[2:]:
            each.cancel()


async def test_more_than_can_wait_is_refused_at_once(bus: AgentBus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agentbus.budget.MAX_WAITING_COUNT", 1)
    alice = bus.agent("alice")
    alice._outbox._budget._max_count = 1
    sending = [asyncio.ensure_future(alice.send("x", channel="science:explore")) for _ in range(3)]
    with pytest.raises(BusError) as caught:
        await sending[2]
    assert caught.value.reason == "OVERLOADED"
    for each in sending:
        each.cancel()


async def test_a_key_that_is_not_known_fails_what_is_sent(scripted: ScriptedBus, bus: AgentBus) -> None:
    sending = asyncio.ensure_future(bus.agent("alice").send("a", channel="science:explore"))
    call = await scripted.publishes.get()
    call.cut(Refusal(grpc.StatusCode.UNAUTHENTICATED, "UNAUTHENTICATED"))
    with pytest.raises(BusError) as caught:
        await sending
    assert (caught.value.reason, caught.value.retry) == ("UNAUTHENTICATED", "NEVER")


@pytest.mark.parametrize("how", ["finish", "cancelled"])
async def test_a_stream_that_ends_as_if_in_peace_was_cut(scripted: ScriptedBus, bus: AgentBus, how: str) -> None:
    sending = asyncio.ensure_future(bus.agent("alice").send("a", channel="science:explore"))
    call = await scripted.publishes.get()
    await call.receive()
    if how == "finish":
        call.finish()
    else:
        # gRPC tells a client of this status as if the client itself had cancelled.
        call.cut(Refusal(grpc.StatusCode.CANCELLED))
    again = await scripted.publishes.get()
    again.send(stored(await again.receive(), 1))
    await sending


async def test_a_server_that_does_not_answer_is_left(
    scripted: ScriptedBus,
) -> None:
    async with AgentBus(scripted.url, call_timeout=0.05, close_timeout=0) as bus:
        sending = asyncio.ensure_future(bus.agent("alice").send("a", channel="science:explore"))
        silent = await scripted.publishes.get()
        await silent.receive()
        await silent.ended.wait()
        answering = asyncio.ensure_future(_answer_all(scripted))
        await sending
        answering.cancel()


async def test_s3_e_2_what_a_server_does_not_answer_in_time_goes_to_the_next_address(scripted: ScriptedBus) -> None:
    """S3-E.2: the link is well, and PINGs are answered: only the answer does not come."""
    other = ScriptedBus()
    await other.start()
    async with AgentBus([scripted.url, other.url], attempt_timeout=0.05, close_timeout=0) as bus:
        sending = asyncio.ensure_future(bus.agent("alice").send("a", channel="science:explore"))
        first = await (await scripted.publishes.get()).receive()
        call = await other.publishes.get()
        second = await call.receive()
        assert second.publish == first.publish
        call.send(stored(second, 1))
        await sending
    await other.stop()


async def test_what_a_server_without_its_storage_refuses_goes_to_the_next_address(scripted: ScriptedBus) -> None:
    other = ScriptedBus()
    await other.start()
    async with AgentBus([scripted.url, other.url], close_timeout=0) as bus:
        alice = bus.agent("alice")
        sending = [asyncio.ensure_future(alice.send("a", channel="science:explore"))]
        call = await scripted.publishes.get()
        one = await call.receive()
        sending.append(asyncio.ensure_future(alice.send("b", channel="science:explore")))
        two = await call.receive()
        call.send(refused(one, 14, "STORAGE_UNAVAILABLE"), refused(two, 10, "RESEND_REQUIRED"))
        again = await other.publishes.get()
        resent = [await again.receive(), await again.receive()]
        assert [each.publish for each in resent] == [one.publish, two.publish]
        again.send(stored(resent[0], 1), stored(resent[1], 2))
        await asyncio.gather(*sending)
    await other.stop()


async def test_a_stream_that_nobody_needs_is_closed_and_opened_again(
    scripted: ScriptedBus, bus: AgentBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "IDLE_SECONDS", 0.02)
    alice = bus.agent("alice")
    for _ in range(2):
        sending = asyncio.ensure_future(alice.send("a", channel="science:explore"))
        call = await scripted.publishes.get()
        call.send(stored(await call.receive(), 1))
        await sending
        await call.ended.wait()


async def test_a_cancelled_send_is_taken_back_when_it_was_not_sent_yet(scripted: ScriptedBus, bus: AgentBus) -> None:
    alice = bus.agent("alice")
    sending = [asyncio.ensure_future(alice.send(text, channel="science:explore")) for text in "ab"]
    call = await scripted.publishes.get()
    request = await call.receive()
    # A batch of two is on its way: the third waits for its answer.
    third = asyncio.ensure_future(alice.send("c", channel="science:explore"))
    await asyncio.wait({third}, timeout=0)
    third.cancel()
    await asyncio.wait({third})
    call.send(stored(request, 1))
    await asyncio.gather(*sending)
    await alice.flush()
    sending = [asyncio.ensure_future(alice.send("d", channel="science:explore"))]
    request = await call.receive()
    assert [message.text for message in request.publish.messages] == ["d"]
    call.send(stored(request, 3))
    await asyncio.gather(*sending)


async def test_flush_waits_for_everything_and_close_fails_the_rest(scripted: ScriptedBus, bus: AgentBus) -> None:
    alice = bus.agent("alice")
    sending = asyncio.ensure_future(alice.send("a", channel="science:explore"))
    call = await scripted.publishes.get()
    request = await call.receive()
    flushing = asyncio.ensure_future(alice.flush())
    assert not flushing.done()
    call.send(stored(request, 1))
    await flushing
    assert sending.done()
    late = asyncio.ensure_future(alice.send("b", channel="science:explore"))
    await call.receive()
    await alice.close(timeout=0)
    with pytest.raises(ClosedError):
        await late
    with pytest.raises(ClosedError):
        await alice.send("c", channel="science:explore")


async def _receive(call: PublishCall, count: int) -> list[Seen]:
    """At least so many messages, each with its request."""
    seen: list[Seen] = []
    while len(seen) < count:
        request = await call.receive()
        seen.extend((request, message) for message in request.publish.messages)
    return seen


async def _answer_all(scripted: ScriptedBus) -> None:
    while True:
        call = await scripted.publishes.get()
        # A slow machine may take this one for silent, too.
        with contextlib.suppress(StopAsyncIteration):
            call.send(stored(await call.receive(), 1))


async def _refuse_bad(call: PublishCall) -> None:
    sequence = 1
    while True:
        request = await call.receive()
        texts = [message.text for message in request.publish.messages]
        if "bad" in texts:
            call.send(refused(request, 3, "MESSAGE_TOO_LARGE", index=str(texts.index("bad"))))
        else:
            call.send(stored(request, sequence))
            sequence += len(texts)
