"""Against the real server."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import pathlib
from collections.abc import AsyncIterator, Iterator

import pytest
from bus_process import PROGRAM, BusProcess
from link_cutter import LinkCutter
from storages import STORAGES, fresh_storage

from agentbus import Agent, AgentBus, BusError, Gap, Message, Opened, SubscriptionEnded
from agentbus import sync as plain

pytestmark = pytest.mark.skipif(not PROGRAM.exists(), reason="the server is not here: this is not its repository")
_numbers = itertools.count(1)


@pytest.fixture(scope="module", params=STORAGES)
def server(request: pytest.FixtureRequest) -> Iterator[BusProcess]:
    with fresh_storage(request.param) as url:
        process = BusProcess("--storage", url)
        process.start()
        yield process
        process.kill()


@pytest.fixture
async def real(server: BusProcess) -> AsyncIterator[AgentBus]:
    async with AgentBus(server.url, close_timeout=2) as bus:
        yield bus


@pytest.fixture
def room() -> str:
    """A room that no other test uses."""
    return f"room-{next(_numbers)}"


async def test_s3_us1_1_agents_talk_and_see_only_what_is_for_them(real: AgentBus, room: str) -> None:
    """S3-US1.1, S0-2.1.3c: members read the channel; what is for one is read by that one."""
    alice, bob, carol = (real.agent(f"{name}-{room}") for name in ("alice", "bob", "carol"))
    for agent in (alice, bob, carol):
        await agent.join(f"{room}:explore")
    async with bob.subscribe() as bob_reads, carol.subscribe() as carol_reads:
        await bob_reads.ready()
        await carol_reads.ready()
        receipt = await alice.send("hi")
        assert (receipt.audience, receipt.duplicate) == (None, False)
        private = await alice.send("for bob", channel=f"{room}:explore", to=bob.id)
        assert private.audience is not None
        assert private.audience.agents == (bob.id,)
        await alice.send({"psst": True}, to=[bob.id])
        await alice.send("bye")
        seen = [await anext(bob_reads) for _ in range(4)]
        assert [each.content for each in sorted(seen, key=lambda each: each.accepted_at)][:1] == ["hi"]
        assert sorted(str(each.content) for each in seen) == ["bye", "for bob", "hi", "{'psst': True}"]
        assert [each.direct for each in seen if each.content == {"psst": True}] == [True]
        assert [(await anext(carol_reads)).text for _ in range(2)] == ["hi", "bye"]
        assert all(each.sender == alice.id for each in seen)
    with pytest.raises(BusError) as caught:
        await carol.get_message(private.position)
    assert caught.value.reason == "MESSAGE_NOT_FOUND"
    assert (await bob.get_message(private.position)).text == "for bob"
    assert (await bob.get_message(channel=f"{room}:explore", id=receipt.id)).position == receipt.position


async def test_s1_5_5_history_both_ways(real: AgentBus, room: str) -> None:
    """S1-5.5: fetch after a position, id or time; pages; what one may see."""
    alice = real.agent(f"alice-{room}")
    receipts = await asyncio.gather(*(alice.send(str(n), channel=f"{room}:log") for n in range(25)))
    forward = [each.text async for each in alice.history(f"{room}:log", max_messages=10)]
    assert forward == [str(n) for n in range(25)]
    backward = [each.text async for each in alice.history(f"{room}:log", max_messages=10, backward=True)]
    assert backward == forward[::-1]
    page = await alice.fetch(f"{room}:log", start={"message_id": receipts[20].id})
    assert ([each.text for each in page.messages], page.caught_up) == (["21", "22", "23", "24"], True)
    waiting = asyncio.create_task(alice.fetch(f"{room}:log", start={"position": page.position}, wait=30))
    await alice.send("25", channel=f"{room}:log")
    assert [each.text for each in (await waiting).messages] == ["25"]


async def test_ask_one_and_many(real: AgentBus, room: str) -> None:
    asker = real.agent(f"asker-{room}")
    workers = [
        real.agent(f"worker{n}-{room}", kind="ai_agent", capabilities=[f"sum-{room}"], groups=[f"staff-{room}"])
        for n in range(3)
    ]

    async def work(agent: Agent) -> None:
        async with agent.subscribe() as reader:
            await reader.ready()
            ready.release()
            async for question in reader:
                await question.reply({"sum": sum(question.content)})

    ready = asyncio.Semaphore(0)
    for worker in workers:
        await worker.join(f"{room}:work")
    working = [asyncio.create_task(work(worker)) for worker in workers]
    for _ in workers:
        await ready.acquire()
    answer = await asker.ask([1, 2, 3], to=workers[0].id, type="command", name="sum")
    assert isinstance(answer, Message)
    assert (answer.content, answer.sender, answer.type, answer.hop_count) == ({"sum": 6}, workers[0].id, "result", 1)
    to_all = await asker.ask([1, 1], to={"groups": [f"staff-{room}"]}, channel=f"{room}:work", answers="audience")
    assert {each.sender for each in to_all} == {worker.id for worker in workers}
    selected = await asker.ask(
        [4], to={"select": {"capabilities": [f"sum-{room}"], "limit": 1}}, channel=f"{room}:work"
    )
    assert selected.content == {"sum": 4}
    many = await asyncio.gather(*(asker.ask([n], to=workers[n % 3].id) for n in range(60)))
    assert [each.content for each in many] == [{"sum": n} for n in range(60)]
    for task in working:
        task.cancel()
    await asyncio.wait(working)


async def test_s3_e_2_full_duplex_over_links_that_are_cut_all_the_time(server: BusProcess, room: str) -> None:
    """S3-E.2: both talk at once, every message arrives once and in order, and is stored once."""
    cutter = LinkCutter(server.port)
    await cutter.start()
    count = 400
    async with AgentBus(cutter.url) as left, AgentBus(cutter.url) as right:
        alice, bob = left.agent(f"alice-{room}"), right.agent(f"bob-{room}")

        async def talk(agent: Agent) -> None:
            for start in range(0, count, 20):
                texts = [str(n) for n in range(start, start + 20)]
                await asyncio.gather(*(agent.send(text, channel=f"{room}:talk") for text in texts))

        async def listen(agent: Agent, opened: asyncio.Event) -> list[str]:
            heard: list[str] = []
            async with agent.subscribe(channels=[f"{room}:talk"]) as reader:
                await reader.ready()
                opened.set()
                async for message in reader:
                    heard.append(message.text)
                    if len(heard) % 37 == 0:
                        cutter.cut()
                    if len(heard) == count:
                        break
            return heard

        opened = [asyncio.Event(), asyncio.Event()]
        listening = [
            asyncio.create_task(listen(agent, event)) for agent, event in zip((alice, bob), opened, strict=True)
        ]
        for event in opened:
            await event.wait()
        await asyncio.gather(talk(alice), talk(bob))
        for heard in await asyncio.gather(*listening):
            assert heard == [str(n) for n in range(count)]
        stored = [each async for each in alice.history(f"{room}:talk", max_messages=1_000)]
        assert [each.sequence for each in stored] == list(range(1, 2 * count + 1))
    assert cutter.links_made > 10
    await cutter.stop()


@pytest.fixture(params=STORAGES)
def storage(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def storage_url(storage: str) -> Iterator[str]:
    with fresh_storage(storage) as url:
        yield url


async def test_a_server_that_is_killed(storage: str, storage_url: str, room: str) -> None:
    """S3-SC-003: kill -9: where messages outlive it nothing that was acknowledged is missing; memory tells the Gap."""
    process = BusProcess("--storage", storage_url)
    process.start()
    try:
        async with AgentBus(process.url) as bus:
            alice, bob = bus.agent("alice"), bus.agent("bob")
            async with bob.subscribe(channels=[f"{room}:log"]) as reader:
                await reader.ready()
                await asyncio.gather(*(alice.send(str(n), channel=f"{room}:log") for n in range(50)))
                told = reader.events()
                texts: list[str] = []
                gaps: list[Gap] = []
                opened = 0
                while len(texts) < 100:
                    event = await anext(told)
                    if isinstance(event, Message):
                        texts.append(event.text)
                        if len(texts) == 50:
                            process.kill()
                            sending = [
                                asyncio.create_task(alice.send(str(n), channel=f"{room}:log")) for n in range(50, 100)
                            ]
                            process.start()
                    elif isinstance(event, Gap):
                        gaps.append(event)
                    elif isinstance(event, Opened):
                        opened += 1
                await asyncio.gather(*sending)
                assert texts == [str(n) for n in range(100)]
                assert opened >= 2
                if storage == "memory":
                    assert [gap.cause for gap in gaps] == ["new_epoch"]
                else:
                    assert gaps == []
            kept = [each.text async for each in bob.history(f"{room}:log")]
            assert kept == [str(n) for n in (range(50, 100) if storage == "memory" else range(100))]
    finally:
        process.kill()


async def test_streams_that_the_bus_finishes(real: AgentBus, room: str) -> None:
    """TAKEN_OVER, CHANNEL_DELETED and AGENT_GONE are final."""
    alice = real.agent(f"alice-{room}")
    await real.channels.create(f"{room}:gone", create_room=True)
    first = await alice.subscribe(channels=[f"{room}:gone"], exclusive="one").ready()
    second = await alice.subscribe(channels=[f"{room}:gone"], exclusive="one").ready()
    with pytest.raises(SubscriptionEnded) as caught:
        await anext(first)
    assert caught.value.reason == "TAKEN_OVER"
    await real.channels.delete(f"{room}:gone")
    with pytest.raises(SubscriptionEnded) as caught:
        await anext(second)
    assert (caught.value.reason, caught.value.channel) == ("CHANNEL_DELETED", f"{room}:gone")
    third = await alice.subscribe().ready()
    async with AgentBus(real.url) as other:
        await other.agent(alice.id).disconnect()
    with pytest.raises(SubscriptionEnded) as caught:
        await anext(third)
    assert caught.value.reason == "AGENT_GONE"


async def test_refusals_say_what_was_wrong(real: AgentBus, room: str) -> None:
    alice = real.agent(f"alice-{room}")
    for reason, sending in (
        ("UNKNOWN_RECIPIENT", alice.send("x", to=f"nobody-{room}")),
        ("EMPTY_RECIPIENTS", alice.send("x", channel=f"{room}:a", to=[])),
        ("BAD_POSITION", alice.send("x", channel=f"{room}:a", causation="nonsense")),
        ("MESSAGE_TOO_LARGE", alice.send("x" * 1_200_000, channel=f"{room}:a")),
        ("ROOM_NOT_FOUND", real.rooms.get(f"nowhere-{room}")),
    ):
        with pytest.raises(BusError) as caught:
            await sending
        assert (caught.value.reason, caught.value.retry) == (reason, "NEVER")
    with pytest.raises(BusError) as caught:
        await alice.send("x", channel=f"{room}:a", priority=11)
    assert caught.value.code == "INVALID_ARGUMENT"
    small = [asyncio.create_task(alice.send(str(n), channel=f"{room}:b")) for n in range(3)]
    with pytest.raises(BusError) as caught:
        await alice.send("x" * 3_000_000, channel=f"{room}:b")
    assert caught.value.reason == "MESSAGE_TOO_LARGE"
    receipts = await asyncio.gather(*small)
    assert [receipt.position.rpartition(".")[2] for receipt in receipts] == ["1", "2", "3"]
    again = await alice.send("same", channel=f"{room}:a", idempotency_key=f"key-{room}")
    twice = await alice.send("same", channel=f"{room}:a", idempotency_key=f"key-{room}")
    assert (again.duplicate, twice.duplicate, twice.position) == (False, True, again.position)
    with pytest.raises(BusError) as caught:
        await alice.send("other", channel=f"{room}:a", idempotency_key=f"key-{room}")
    assert caught.value.reason == "IDEMPOTENCY_CONFLICT"


async def test_api_keys(room: str, tmp_path: pathlib.Path) -> None:
    """A key that is not known is refused for good, a key acts for its own agents only."""
    digest = hashlib.sha256(b"sesame").hexdigest()
    config = tmp_path / "agentbus.yaml"
    config.write_text(f"auth: {{apiKeys: [{{name: test, sha256: {digest}, agents: [alice]}}]}}\n")
    process = BusProcess("--config", str(config))
    process.start()
    try:
        async with AgentBus(process.url, api_key="wrong") as bus:
            for attempt in (
                bus.ping(),
                bus.agent("alice").send("x", channel=f"{room}:a"),
                bus.agent("alice").subscribe(channels=[f"{room}:a"]).ready(),
            ):
                with pytest.raises(BusError) as caught:
                    await attempt
                assert (caught.value.reason, caught.value.retry) == ("UNAUTHENTICATED", "NEVER")
        async with AgentBus(process.url, api_key="sesame") as bus:
            alice = bus.agent("alice", kind="ai_agent")
            reader = await alice.subscribe(channels=[f"{room}:a"], echo=True).ready()
            await alice.send("x", channel=f"{room}:a")
            assert (await anext(reader)).sender == "alice"
            with pytest.raises(BusError) as caught:
                await bus.agent("bob").send("x", channel=f"{room}:a")
            assert caught.value.reason == "AGENT_NOT_ALLOWED"
    finally:
        process.kill()


async def test_rooms_channels_agents_and_status(real: AgentBus, room: str) -> None:
    created = await real.rooms.create(room, description="for tests", metadata={"a": "b"}, max_members=5)
    assert (created.room, created.defaults.max_members) == (room, 5)
    updated = await real.rooms.update(room, description="changed", max_members=6)
    assert (updated.room.description, updated.room.defaults.max_members) == ("changed", 6)
    changes = real.rooms.watch(room)
    first = asyncio.ensure_future(anext(changes))
    channel = await real.channels.create(
        f"{room}:a", routing={"strategy": "individual"}, retention={"max_age": 3_600}, dedup_window=60
    )
    assert channel.config.retention.max_age_duration.seconds == 3_600
    answer = await real.channels.update(f"{room}:a", routing={"strategy": "broadcast"})
    assert answer.effective_position.startswith(f"{room}:a@")
    alice = real.agent(f"alice-{room}", kind="human", screen_name="Alice", labels={"room": room})
    await alice.join(f"{room}:a")
    assert [each.agent_id async for each in real.channels.members(f"{room}:a")] == [alice.id]
    await alice.leave(f"{room}:a")
    assert (await first).change in ("channel_created", "channel_updated", "member_joined", "member_left")
    await changes.aclose()  # type: ignore[attr-defined]
    assert [each.channel async for each in real.channels.list(room=room)] == ["a"]
    assert [each.room async for each in real.rooms.list(room)] == [room]
    assert (await real.agents.get(alice.id)).screen_name == "Alice"
    assert (await alice.update(screen_name="A")).screen_name == "A"
    assert await alice.heartbeat("away") > 0
    assert [each.agent_id async for each in real.agents.list(labels={"room": room}, states=["away"])] == [alice.id]
    watched = real.agents.watch([alice.id])
    assert (await anext(watched)).change == "current"
    await real.agents.delete(alice.id)
    assert (await anext(watched)).change in ("state", "deleted")
    await watched.aclose()  # type: ignore[attr-defined]
    assert (await real.info()).protocol_version == "1.0"
    assert (await real.status(max_channels=3)).rooms >= 1
    await real.rooms.delete(room, force=True)


def test_s3_sc_010_the_synchronous_face_talks_both_ways(server: BusProcess, room: str) -> None:
    """S3-SC-010: an SDK in full duplex, here without asyncio."""
    with plain.connect(server.url) as bus:
        alice, bob = bus.agent(f"alice-{room}"), bus.agent(f"bob-{room}")
        bob.join(f"{room}:a")
        with bob.subscribe() as reader, alice.subscribe(channels=[f"{room}:a"]) as back:
            reader.ready()
            back.ready()
            alice.send("hi", channel=f"{room}:a")
            said = next(reader)
            said.reply("hello")
            answer = next(back)
            assert (answer.text, answer.causation, answer.hop_count) == ("hello", said.position, 1)
        assert [each.text for each in bob.history(f"{room}:a", backward=True)] == ["hello", "hi"]
        assert [each.room for each in bus.rooms.list(room)] == [room]
