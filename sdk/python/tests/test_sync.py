"""The synchronous face: the same bus, and every call waits."""

from __future__ import annotations

import asyncio
import multiprocessing
import signal
import threading
from collections.abc import Iterator

import pytest
from scripted_bus import ScriptedBus, delivery, opened, position, stored

from agentbus.sync import AgentBus, BusError, ClosedError, Message, Subscription, connect
from agentbus.sync.loop_thread import LoopThread
from agentbus.v1 import admin_service_pb2, bus_service_pb2, room_pb2, room_service_pb2


class Server:
    """A scripted bus in a thread of its own, that answers by rules."""

    def __init__(self) -> None:
        self.loop = LoopThread()
        self.scripted = ScriptedBus()
        self._tasks: list[asyncio.Task[None]] = []
        self.loop.run(self._start())

    async def _start(self) -> None:
        await self.scripted.start()
        self.scripted.unary = {"Ping": self._ping, "JoinChannel": self._join, "Fetch": self._fetch}
        self._tasks = [asyncio.create_task(self._publish()), asyncio.create_task(self._subscribe())]

    def stop(self) -> None:
        async def stop() -> None:
            for task in self._tasks:
                task.cancel()
            await asyncio.wait(self._tasks)
            await self.scripted.stop()

        self.loop.run(stop())
        self.loop.stop()

    async def _ping(self, _: object) -> admin_service_pb2.PingResponse:
        return admin_service_pb2.PingResponse(node_id="node-1")

    async def _join(self, request: room_service_pb2.JoinChannelRequest) -> room_service_pb2.JoinChannelResponse:
        channel = room_pb2.Channel(room=request.room, channel=request.channel)
        return room_service_pb2.JoinChannelResponse(channel=channel, joined=True)

    async def _fetch(self, request: bus_service_pb2.FetchRequest) -> bus_service_pb2.FetchResponse:
        first = 3 if request.position else 1
        messages = delivery(first, first + 1).messages
        return bus_service_pb2.FetchResponse(
            messages=messages, position=position(first + 1), caught_up=bool(request.position)
        )

    async def _publish(self) -> None:
        call = await self.scripted.publishes.get()
        sequence = 1
        while True:
            request = await call.receive()
            if request.publish.messages[0].text == "interrupt me":
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
                continue
            call.send(stored(request, sequence))
            sequence += len(request.publish.messages)

    async def _subscribe(self) -> None:
        while True:
            call = await self.scripted.subscribes.get()
            call.send(opened(position(0)), delivery(1, 2), delivery(3))


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.stop()


def test_join_send_read_reply_and_history(server: Server) -> None:
    with connect(server.scripted.url) as bus:
        alice = bus.agent("alice")
        assert alice.join("science:explore").channel == "explore"
        assert alice.send("hi").position == position(1)
        assert alice.send({"a": 1}, to="bob").position == position(2)
        with alice.subscribe(channels=["science:explore"]) as reader:
            assert reader.ready() is reader
            first = next(reader)
            assert isinstance(first, Message)
            assert (first.text, first.reply("hello").position) == ("m1", position(3))
            assert [next(reader).text for _ in range(2)] == ["m2", "m3"]
            assert reader.positions() == [position(3)]
            assert reader.receive(timeout=0.01) is None
        assert [each.text for each in alice.history("science:explore")] == ["m1", "m2", "m3", "m4"]
        page = alice.fetch("science:explore")
        assert (page.caught_up, [type(each) for each in page.messages]) == (False, [Message, Message])
        with pytest.raises(ClosedError):
            reader.ready()


def test_closing_ends_a_loop_of_another_thread(server: Server) -> None:
    bus = AgentBus(server.scripted.url)
    reader = bus.agent("alice").subscribe(channels=["science:explore"])
    read: list[str] = []
    three = threading.Event()

    def loop(subscription: Subscription) -> None:
        for message in subscription:
            read.append(message.text)
            if len(read) == 3:
                three.set()

    thread = threading.Thread(target=loop, args=(reader,))
    thread.start()
    assert three.wait(20)
    reader.close()
    thread.join(20)
    assert (thread.is_alive(), read) == (False, ["m1", "m2", "m3"])
    bus.close()
    bus.close()
    with pytest.raises(RuntimeError, match="closed"):
        bus.ping()


def test_ctrl_c_interrupts_a_waiting_call_and_cancels_it(server: Server) -> None:
    with AgentBus(server.scripted.url, close_timeout=0) as bus:
        alice = bus.agent("alice")
        alice.send("first", channel="science:explore")
        with pytest.raises(KeyboardInterrupt):
            alice.send("interrupt me", channel="science:explore")
        alice.flush()


def test_several_threads_may_send(server: Server) -> None:
    with AgentBus(server.scripted.url) as bus:
        alice = bus.agent("alice")
        positions: list[str] = []

        def send(name: str) -> None:
            positions.extend(alice.send(f"{name}{n}", channel="science:explore").position for n in range(20))

        threads = [threading.Thread(target=send, args=(name,)) for name in "abcd"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert sorted(positions) == sorted(position(n) for n in range(1, 81))


def test_a_callback_that_would_wait_for_itself_is_told(server: Server) -> None:
    told: list[str] = []
    with AgentBus(server.scripted.url) as bus:

        def ping() -> None:
            try:
                bus.ping()
            except RuntimeError as error:
                told.append(str(error))

        bus._loop._loop.call_soon_threadsafe(ping)
        bus.ping()
    assert len(told) == 1
    assert "callback" in told[0]


def test_connect_fails_when_nobody_answers(server: Server) -> None:
    url = server.scripted.url
    server.loop.run(server.scripted.stop())
    with pytest.raises(BusError):
        connect(url)


def _use_after_fork(bus: AgentBus, results: multiprocessing.Queue[str]) -> None:
    try:
        bus.ping()
    except RuntimeError as error:
        results.put(str(error))


def test_after_a_fork_the_child_is_told(server: Server) -> None:
    """No call was made before the fork: gRPC itself does not survive one in a process that uses it."""
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    bus = AgentBus(server.scripted.url)
    child = context.Process(target=_use_after_fork, args=(bus, results))
    child.start()
    assert "before a fork" in results.get(timeout=20)
    child.join(20)
    bus.close()
