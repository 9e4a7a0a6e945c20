"""Questions and answers, over a scripted bus."""

from __future__ import annotations

import asyncio
from collections import deque

import pytest
from scripted_bus import PublishCall, ScriptedBus, SubscribeCall, message, opened, position, stored

from agentbus import Agent, AgentBus, BusError, ClosedError, Message, Subscription, asking
from agentbus.v1 import bus_service_pb2, message_pb2

INBOX = "_inbox:alice"


class Responder:
    """Plays the inbox of alice and whoever answers her."""

    def __init__(self, scripted: ScriptedBus) -> None:
        self._scripted = scripted
        self.inbox: SubscribeCall | None = None
        self.publishing: PublishCall | None = None
        self.sequence = 0
        self._asked: deque[message_pb2.Message] = deque()

    async def question(self, audience: int | None = None) -> message_pb2.Message:
        """Takes the next question, once the inbox is open."""
        if self.inbox is None:
            self.inbox = await self._scripted.subscribes.get()
            request = await self.inbox.receive()
            assert (list(request.channels), request.observe) == ([INBOX], True)
            self.inbox.send(opened(position(0, INBOX)))
        if self.publishing is None:
            self.publishing = await self._scripted.publishes.get()
        if not self._asked:
            batch = await self.publishing.receive()
            response = stored(batch, 1)
            for result in response.published.results:
                if audience is not None:
                    result.audience.count = audience
            self.publishing.send(response)
            self._asked.extend(batch.publish.messages)
        return self._asked.popleft()

    def answer(self, question: message_pb2.Message, text: str, sender: str = "bob") -> None:
        assert self.inbox is not None
        self.sequence += 1
        said = message(self.sequence, text, INBOX, sender=sender, correlation_id=question.correlation_id)
        self.inbox.send(bus_service_pb2.SubscribeResponse(messages=[said], positions=[position(self.sequence, INBOX)]))


@pytest.fixture
def responder(scripted: ScriptedBus) -> Responder:
    return Responder(scripted)


@pytest.fixture
def alice(bus: AgentBus) -> Agent:
    return bus.agent("alice")


async def test_one_question_one_answer(responder: Responder, alice: Agent) -> None:
    asked = asyncio.create_task(alice.ask({"n": 1}, to="bob", type="command", name="Add"))
    question = await responder.question()
    assert (question.reply_to, question.text, question.type, question.name) == (INBOX, '{"n":1}', 3, "Add")
    assert question.correlation_id
    responder.answer(message_pb2.Message(correlation_id="another question"), "not this one")
    responder.answer(question, "2")
    answer = await asked
    assert isinstance(answer, Message)
    assert (answer.text, answer.sender) == ("2", "bob")


async def test_questions_share_one_inbox_and_do_not_mix(responder: Responder, alice: Agent) -> None:
    asked = [asyncio.create_task(alice.ask(str(n), channel="science:explore")) for n in range(3)]
    questions = [await responder.question() for _ in range(3)]
    for question in reversed(questions):
        responder.answer(question, f"answer to {question.text}")
    assert [(await each).text for each in asked] == [f"answer to {n}" for n in range(3)]


async def test_many_answers_until_there_are_enough(responder: Responder, alice: Agent) -> None:
    asked = asyncio.create_task(alice.ask("who?", channel="science:explore", answers=2))
    question = await responder.question()
    responder.answer(question, "me", "bob")
    responder.answer(question, "me too", "carol")
    assert [answer.sender for answer in await asked] == ["bob", "carol"]


async def test_the_audience_has_answered_when_each_of_it_has(responder: Responder, alice: Agent) -> None:
    asked = asyncio.create_task(alice.ask("who?", to={"groups": ["staff"]}, channel="a:b", answers="audience"))
    question = await responder.question(audience=2)
    responder.answer(question, "me", "bob")
    responder.answer(question, "me again", "bob")
    responder.answer(question, "me", "carol")
    assert [answer.sender for answer in await asked] == ["bob", "bob", "carol"]


async def test_when_the_time_is_up_many_gives_what_came_and_one_raises(responder: Responder, alice: Agent) -> None:
    asked = asyncio.create_task(alice.ask("who?", channel="a:b", answers=5, timeout=3))
    responder.answer(await responder.question(), "me")
    assert [answer.text for answer in await asked] == ["me"]
    asked_one = asyncio.create_task(alice.ask("who?", channel="a:b", timeout=1))
    await responder.question()
    with pytest.raises(BusError, match="nobody answered") as caught:
        await asked_one
    assert caught.value.reason == "DEADLINE"


async def test_an_inbox_that_is_cut_misses_no_answer(scripted: ScriptedBus, responder: Responder, alice: Agent) -> None:
    asked = asyncio.create_task(alice.ask("who?", to="bob"))
    question = await responder.question()
    assert responder.inbox is not None
    responder.inbox.cut()
    responder.inbox = await scripted.subscribes.get()
    assert list((await responder.inbox.receive()).resume.positions) == [position(0, INBOX)]
    responder.inbox.send(opened(position(0, INBOX)))
    responder.answer(question, "me")
    assert (await asked).text == "me"


@pytest.mark.parametrize(("shown", "expected"), [(False, ["psst"]), (True, ["late", "psst"])])
async def test_answers_are_kept_from_other_subscriptions(
    scripted: ScriptedBus, responder: Responder, alice: Agent, shown: bool, expected: list[str]
) -> None:
    asked = asyncio.create_task(alice.ask("who?", to="bob"))
    question = await responder.question()
    asked.cancel()
    reader = alice.subscribe(answers=shown)
    reading = asyncio.create_task(_take(reader, len(expected)))
    call = await scripted.subscribes.get()
    late = message(1, "late", INBOX, correlation_id=question.correlation_id)
    call.send(
        opened(position(0, INBOX)),
        bus_service_pb2.SubscribeResponse(messages=[late], positions=[position(1, INBOX)]),
        bus_service_pb2.SubscribeResponse(messages=[message(2, "psst", INBOX)], positions=[position(2, INBOX)]),
    )
    assert await reading == expected
    assert reader.positions() == [position(2, INBOX)]


async def test_closing_the_agent_fails_open_questions(responder: Responder, alice: Agent) -> None:
    asked = asyncio.create_task(alice.ask("who?", to="bob"))
    await responder.question()
    await alice.close()
    with pytest.raises(ClosedError):
        await asked


async def test_the_inbox_is_closed_when_nothing_is_asked_for_a_while(
    scripted: ScriptedBus, responder: Responder, alice: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "IDLE_SECONDS", 0.01)
    for _ in range(2):
        asked = asyncio.create_task(alice.ask("who?", to="bob"))
        responder.answer(await responder.question(), "me")
        await asked
        assert responder.inbox is not None
        await responder.inbox.ended.wait()
        responder.inbox = None


async def test_answers_must_make_sense(alice: Agent) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        await alice.ask("who?", to="bob", answers=0)


async def _take(reader: Subscription, count: int) -> list[str]:
    return [(await anext(reader)).text for _ in range(count)]
