"""What an outbox may send when: order within a channel over refusals and cuts."""

from __future__ import annotations

import asyncio

import pytest
from scripted_bus import refused, stored

from agentbus.backoff import Backoff, resolve_backoff
from agentbus.errors import BusError
from agentbus.publish_window import Lane, Pending, PublishWindow
from agentbus.receipt import Receipt
from agentbus.v1 import bus_service_pb2, message_pb2

EXPLORE = Lane("science", "explore", "")
GENERAL = Lane("science", "general", "")
LIMITS = resolve_backoff({})


class Sender:
    """Adds messages to a window and takes requests from it."""

    def __init__(self) -> None:
        self.window = PublishWindow(
            "alice", Backoff(LIMITS, uniform=lambda low, high: 1), lambda error: error.retry == "RECONNECT"
        )
        self.now = 0.0

    def add(self, *texts: str, lane: Lane = EXPLORE) -> list[asyncio.Future[Receipt]]:
        loop = asyncio.get_running_loop()
        items = [Pending(lane, message_pb2.Message(id=text[:9], text=text), loop.create_future()) for text in texts]
        for item in items:
            self.window.add(item)
        return [item.receipt for item in items]

    def take(self) -> bus_service_pb2.PublishStreamRequest:
        request = self.window.next_request(self.now)
        assert request is not None, "there is nothing that may be sent"
        return request

    def rests(self) -> bool:
        return self.window.next_request(self.now) is None

    def answer(self, response: bus_service_pb2.PublishStreamResponse) -> None:
        self.window.answered(response, self.now)


def texts(request: bus_service_pb2.PublishStreamRequest) -> list[str]:
    return [message.text for message in request.publish.messages]


@pytest.fixture
async def sender() -> Sender:
    return Sender()


async def test_what_waits_for_one_channel_shares_a_request(sender: Sender) -> None:
    sender.add("a", "b")
    sender.add("x", lane=GENERAL)
    sender.add("c")
    first, second = sender.take(), sender.take()
    assert (texts(first), texts(second)) == (["a", "b", "c"], ["x"])
    assert (first.request_id, second.request_id) == (1, 2)
    assert (first.publish.agent_id, first.publish.room, first.publish.channel) == ("alice", "science", "explore")


async def test_a_request_has_at_most_100_messages_and_1_mib(sender: Sender) -> None:
    sender.add(*(str(n) for n in range(250)))
    sizes = []
    while sender.window.has_work:
        request = sender.take()
        sizes.append(len(request.publish.messages))
        sender.answer(stored(request, 1))
    assert sizes == [100, 100, 50]
    sender.add(*("x" * 400_000 for _ in range(3)))
    assert len(sender.take().publish.messages) == 2


async def test_nothing_of_a_channel_overtakes_a_batch_that_may_have_to_shrink(sender: Sender) -> None:
    first, bad, third = sender.add("a", "bad", "c")
    batch = sender.take()
    later = sender.add("d")[0]
    assert sender.rests()
    sender.answer(refused(batch, 5, "UNKNOWN_RECIPIENT", index="1"))
    with pytest.raises(BusError) as caught:
        bad.result()
    assert (caught.value.reason, caught.value.code, caught.value.index) == ("UNKNOWN_RECIPIENT", "NOT_FOUND", None)
    again = sender.take()
    assert texts(again) == ["a", "c", "d"]
    assert again.request_id == 2
    sender.answer(stored(again, 1))
    assert [receipt.result().position.rpartition(".")[2] for receipt in (first, third, later)] == ["1", "2", "3"]


async def test_single_messages_of_a_channel_follow_each_other_without_waiting(sender: Sender) -> None:
    requests = []
    for text in "abc":
        sender.add(text)
        requests.append(sender.take())
    assert [texts(request) for request in requests] == [["a"], ["b"], ["c"]]


async def test_a_batch_refused_without_an_index_is_told_apart_message_by_message(sender: Sender) -> None:
    receipts = sender.add("a", "b")
    sender.answer(refused(sender.take(), 3, "INVALID_FIELD"))
    first, second = sender.take(), sender.take()
    assert (texts(first), texts(second)) == (["a"], ["b"])
    sender.answer(refused(first, 3, "INVALID_FIELD"))
    sender.answer(stored(second, 1))
    assert isinstance(receipts[0].exception(), BusError)
    assert receipts[1].result().id == "b"


async def test_after_same_everything_goes_again_in_order_under_the_same_ids(sender: Sender) -> None:
    sender.add("a")
    first = sender.take()
    sender.add("b", lane=GENERAL)
    second = sender.take()
    sender.add("c")
    third = sender.take()
    sender.answer(refused(first, 8, "RATE_LIMITED"))
    sender.add("d")
    sender.now = 100
    assert sender.rests(), "two answers are still on their way"
    sender.answer(refused(second, 10, "RESEND_REQUIRED"))
    sender.answer(refused(third, 10, "RESEND_REQUIRED"))
    again = [sender.take() for _ in range(4)]
    assert [(request.request_id, texts(request)) for request in again] == [
        (1, ["a"]),
        (2, ["b"]),
        (3, ["c"]),
        (4, ["d"]),
    ]


async def test_order_holds_when_a_resend_is_refused_again(sender: Sender) -> None:
    """A bug once: what was refused a second time went behind what had not been sent again yet."""
    requests = []
    for text in "abc":
        sender.add(text)
        requests.append(sender.take())
    sender.answer(refused(requests[0], 14, "STORAGE_UNAVAILABLE"))
    sender.answer(refused(requests[1], 10, "RESEND_REQUIRED"))
    sender.answer(refused(requests[2], 10, "RESEND_REQUIRED"))
    sender.now = 100
    sender.answer(refused(sender.take(), 14, "STORAGE_UNAVAILABLE"))
    sender.now = 200
    assert [texts(sender.take()) for _ in range(3)] == [["a"], ["b"], ["c"]]


async def test_order_holds_when_the_stream_is_cut_while_it_resends(sender: Sender) -> None:
    requests = []
    for text in "abc":
        sender.add(text)
        requests.append(sender.take())
    sender.answer(refused(requests[0], 14, "STORAGE_UNAVAILABLE"))
    sender.answer(refused(requests[1], 10, "RESEND_REQUIRED"))
    sender.answer(refused(requests[2], 10, "RESEND_REQUIRED"))
    sender.now = 100
    assert texts(sender.take()) == ["a"]
    sender.window.cut()
    assert [texts(sender.take()) for _ in range(3)] == [["a"], ["b"], ["c"]]


async def test_the_retry_delay_of_the_server_is_waited_for(sender: Sender) -> None:
    sender.add("a")
    response = refused(sender.take(), 8, "RATE_LIMITED")
    response.error.retry_delay.FromSeconds(7)
    sender.answer(response)
    sender.now = 6.9
    assert sender.rests()
    sender.now = 7
    assert texts(sender.take()) == ["a"]


async def test_reconnect_ends_the_stream(sender: Sender) -> None:
    sender.add("a")
    request = sender.take()
    with pytest.raises(BusError, match="DRAINING"):
        sender.answer(refused(request, 14, "DRAINING"))
    sender.window.cut()
    assert texts(sender.take()) == ["a"]


async def test_after_a_cut_what_was_not_answered_goes_first_and_what_nobody_waits_for_not_at_all(
    sender: Sender,
) -> None:
    sender.add("a")
    sender.answer(stored(sender.take(), 1))
    receipts = sender.add("b", "c")
    sender.take()
    sender.add("d")
    receipts[0].cancel()
    sender.window.cut()
    again = [sender.take(), sender.take()]
    assert [(request.request_id, texts(request)) for request in again] == [(1, ["c"]), (2, ["d"])]


async def test_a_server_that_answers_out_of_turn_is_left(sender: Sender) -> None:
    sender.add("a")
    request = sender.take()
    request.request_id = 9
    with pytest.raises(BusError, match="out of turn") as caught:
        sender.answer(stored(request, 1))
    assert caught.value.retry == "RECONNECT"


async def test_the_message_that_makes_the_server_refuse_the_stream_is_found(sender: Sender) -> None:
    receipts = sender.add("a", "huge", "c")
    sender.take()
    too_large = BusError("too large", reason="REQUEST_TOO_LARGE")
    sender.window.refused(too_large)
    sender.window.cut()
    first = sender.take()
    assert texts(first) == ["a"]
    assert sender.rests(), "one by one"
    sender.answer(stored(first, 1))
    assert texts(sender.take()) == ["huge"]
    sender.window.refused(too_large)
    sender.window.cut()
    last = sender.take()
    assert texts(last) == ["c"]
    sender.answer(stored(last, 2))
    assert [receipt.exception() for receipt in receipts] == [None, too_large, None]


async def test_a_stream_refused_for_who_speaks_fails_everything(sender: Sender) -> None:
    receipts = sender.add("a") + sender.add("b", lane=GENERAL)
    sender.take()
    sender.window.refused(BusError("no key", reason="UNAUTHENTICATED"))
    assert all(isinstance(receipt.exception(), BusError) for receipt in receipts)
    assert not sender.window.has_work


async def test_a_result_that_is_missing_is_told(sender: Sender) -> None:
    receipts = sender.add("a", "b")
    response = stored(sender.take(), 1)
    del response.published.results[1]
    sender.answer(response)
    assert receipts[0].result().id == "a"
    assert isinstance(receipts[1].exception(), BusError)
