"""Producers and readers over the Python SDK, for scripts/chaos.ts.

Started with one argument, the settings as JSON. Writes what it sees to `history`, one event a line (test/support/history.ts),
and tells who was served on standard output. Takes "finish" (send nothing new, wait for answers) and "stop" on standard input.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import re
import string
import sys
import time
from typing import Any, TextIO

from agentbus import AgentBus, BusError, backoff
from agentbus.events import Cut, Gap, Opened

SEND_SECONDS = 110.0
HEARTBEAT_SECONDS = 1.0
TOLD_EVERY_SECONDS = 0.05
MAX_TEXT = 700
MAX_BURST = 8
LETTERS = string.ascii_lowercase + " "
UNKNOWN_OUTCOME = {"", "STORAGE_UNAVAILABLE", "DEADLINE", "CANCELLED"}
REFUSED_FOR_NOW = {
    "DRAINING",
    "OVERLOADED",
    "RATE_LIMITED",
    "RESEND_REQUIRED",
    "STORAGE_FULL",
    "CONCURRENT_UPDATE",
    "CHANNEL_DELETED",
}
POSITION = re.compile(r"^(.+)@([0-9a-f]{8})\.([0-9]+)$")
# As the other clients of the run: so short that they are there when the bus is back.
backoff.MAX_SECONDS = 1.0  # type: ignore[misc]


class History:
    """What the clients see, on disk."""

    def __init__(self, path: str) -> None:
        self._file: TextIO = open(path, "w", encoding="utf-8")
        self._names: dict[str, int] = {}

    def record(self, **event: object) -> None:
        self._file.write(json.dumps(event, separators=(",", ":")) + "\n")

    def name(self, what: str) -> str:
        self._names[what] = self._names.get(what, 0) + 1
        return f"{what}-{self._names[what]}"

    def close(self) -> None:
        self._file.close()


class News:
    """Who was served, gathered for a moment and told in one line."""

    def __init__(self) -> None:
        self._clear()

    def _clear(self) -> None:
        self.acked: dict[str, list[float]] = {}
        self.read: dict[str, float] = {}
        self.streams: list[tuple[str, str, float]] = []
        self.ends: list[tuple[str, str]] = []

    def on_acked(self, name: str) -> None:
        count = self.acked.get(name, [0, 0])[0]
        self.acked[name] = [count + 1, now_ms()]

    def tell(self) -> None:
        if self.acked or self.read or self.streams or self.ends:
            say(acked=self.acked, read=self.read, streams=self.streams, ends=self.ends)
            self._clear()


def say(**fields: object) -> None:
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


def now_ms() -> float:
    return time.time() * 1000


def digest_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def place_of(position: str) -> dict[str, object]:
    match = POSITION.match(position)
    if match is None:
        raise ValueError(f"not a position: {position!r}")
    return {"channel": match[1], "epoch": int(match[2], 16), "sequence": int(match[3])}


class Producer:
    """Sends without waiting for answers: the order, over cuts and nodes, is the SDK's business."""

    def __init__(self, settings: dict[str, Any], urls: list[str], seed: int, history: History, news: News) -> None:
        self._settings = settings
        self._name: str = settings["name"]
        self._history = history
        self._news = news
        self._random = random.Random(seed)
        self._bus = AgentBus(urls, send_timeout=SEND_SECONDS)
        self._count = 0
        self._under_way: set[asyncio.Task[None]] = set()
        self.stopping = False

    async def run(self) -> None:
        mean = 1.0 * (MAX_BURST + 1) / 2 / self._settings["rate"]
        while not self.stopping:
            await asyncio.sleep(self._random.random() * 2 * mean)
            target = self._random.choice(self._settings["targets"])
            for _ in range(self._random.randint(1, MAX_BURST)):
                # Started in order: the SDK takes them in the order of the calls.
                task = asyncio.create_task(self._send(target))
                self._under_way.add(task)
            for task in [task for task in self._under_way if task.done()]:
                self._under_way.discard(task)
                task.result()
        await asyncio.gather(*self._under_way)

    async def _send(self, target: dict[str, Any]) -> None:
        self._count += 1
        message_id = f"{self._name}-{self._count}"
        text = f"{self._name} {self._count} " + "".join(
            self._random.choices(LETTERS, k=self._random.randrange(MAX_TEXT))
        )
        to: list[str] | None = target.get("to")
        channel: str | None = target.get("channel")
        attempt = self._history.name(f"{self._name}-attempt")
        agent = self._bus.agent(self._settings["agent"])
        self._history.record(
            kind="attempted",
            attempt=attempt,
            producer=self._name,
            sender=agent.id,
            channel=channel or f"_inbox:{to[0] if to else ''}",
            id=message_id,
            digest=digest_of(text),
            audience=to,
        )
        options: dict[str, Any] = {"id": message_id}
        if channel is not None:
            options["channel"] = channel
        if to is not None:
            options["to"] = to if len(to) > 1 else to[0]
        try:
            receipt = await agent.send(text, **options)
        except BusError as error:
            if error.reason not in UNKNOWN_OUTCOME | REFUSED_FOR_NOW:
                raise
            self._history.record(kind="unknown" if error.reason in UNKNOWN_OUTCOME else "failed", attempt=attempt)
        else:
            place = place_of(receipt.position)
            self._history.record(
                kind="acked", attempt=attempt, place=place, duplicate=receipt.duplicate, atMs=now_ms()
            )
            self._news.on_acked(self._name)

    async def close(self) -> None:
        await self._bus.close()


class Reader:
    """A subscription, written down as one stream: how it is cut and resumed is the SDK's business."""

    def __init__(self, settings: dict[str, Any], urls: list[str], history: History, news: News) -> None:
        self._name: str = settings["name"]
        self._history = history
        self._news = news
        self._end_prefix: str = settings["endPrefix"]
        self._bus = AgentBus(urls)
        self._agent = self._bus.agent(settings["agent"])
        options = {key: settings[key] for key in ("channels", "patterns") if key in settings}
        self._subscription = self._agent.subscribe(
            start="earliest", heartbeat_interval=HEARTBEAT_SECONDS, **options
        )

    async def run(self) -> None:
        name, history, news = self._name, self._history, self._news
        stream = history.name(f"{name}-stream")
        history.record(kind="opened", stream=stream, reader=name, agent=self._agent.id, start="earliest")
        async for event in self._subscription.events():
            if isinstance(event, Opened | Cut):
                news.streams.append((name, "opened" if isinstance(event, Opened) else "cut", now_ms()))
            elif isinstance(event, Gap):
                history.record(
                    kind="gap",
                    stream=stream,
                    channel=event.channel,
                    first=event.first_sequence,
                    last=event.last_sequence or 0,
                    cause=event.cause.upper(),
                )
            elif hasattr(event, "raw"):
                raw = event.raw
                place = {"channel": event.address, "epoch": raw.epoch, "sequence": raw.sequence}
                history.record(
                    kind="delivered", stream=stream, place=place, id=raw.id, sender=raw.sender, digest=digest_of(raw.text)
                )
                news.read[name] = raw.accept_time.seconds * 1000 + raw.accept_time.nanos / 1e6
                if raw.id.startswith(self._end_prefix):
                    news.ends.append((name, event.address))

    async def close(self) -> None:
        await self._subscription.close()
        await self._bus.close()


async def read_commands(commands: asyncio.Queue[str]) -> None:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        commands.put_nowait(line.decode().strip())
    commands.put_nowait("stop")


async def main() -> None:
    settings = json.loads(sys.argv[1])
    urls: list[str] = settings["urls"]
    history, news = History(settings["history"]), News()
    turned = [urls[i % len(urls) :] + urls[: i % len(urls)] for i in range(100)]
    producers = [
        Producer(each, turned[i], settings["seed"] + i, history, news) for i, each in enumerate(settings["producers"])
    ]
    readers = [Reader(each, turned[i + 1], history, news) for i, each in enumerate(settings["readers"])]
    sending = [asyncio.create_task(producer.run()) for producer in producers]
    reading = [asyncio.create_task(reader.run()) for reader in readers]
    commands: asyncio.Queue[str] = asyncio.Queue()
    listening = asyncio.create_task(read_commands(commands))
    finished = False
    while True:
        await asyncio.sleep(TOLD_EVERY_SECONDS)
        news.tell()
        for task in (*sending, *reading):
            if task.done():
                task.result()
        if not finished and all(producer.stopping for producer in producers) and all(task.done() for task in sending):
            finished = True
            say(finished=True)
        command = "" if commands.empty() else commands.get_nowait()
        if command == "finish":
            for producer in producers:
                producer.stopping = True
        if command == "stop":
            break
    for client in (*readers, *producers):
        await client.close()
    await asyncio.gather(*reading)
    listening.cancel()
    history.close()
    say(stopped=True)


asyncio.run(main())
