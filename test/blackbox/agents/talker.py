"""An agent that talks, as ./talker.ts says."""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
from collections.abc import Sequence
from typing import Any

from agentbus import Agent, AgentBus, Message, Receipt, Subscription

ASK_SECONDS = 150


class Talker:
    def __init__(self, part: dict[str, Any], agent: Agent) -> None:
        self._part = part
        self._agent = agent
        self._peers: Sequence[str] = part["peers"]
        self._think: float = part["thinkMs"] / 1_000
        self._stream = f"{agent.id}-stream"
        self._attempts = 0
        self._answering: set[asyncio.Task[None]] = set()

    async def listen(self) -> Subscription:
        await self._agent.join(self._part["channel"])
        me = self._agent.id
        tell({"kind": "opened", "stream": self._stream, "reader": me, "agent": me, "start": "earliest"})
        # One stream for the history, over all cuts: the SDK promises that they do not show.
        subscription = self._agent.subscribe(start="earliest", answers=True, on_gap="fail")
        return await subscription.ready()

    async def read(self, subscription: Subscription) -> None:
        async for message in subscription:
            delivered = {"kind": "delivered", "stream": self._stream, "place": place_of(message)}
            tell({**delivered, "id": message.id, "sender": message.sender, "digest": digest_of(message.text)})
            if message.type == "command":
                self._answer(message)

    async def speak(self) -> None:
        me, channel = self._agent.id, self._part["channel"]
        sending: list[asyncio.Task[None]] = []
        for n in range(1, self._part["messages"] + 1):
            await asyncio.sleep(self._think)
            peer = self._peers[n % len(self._peers)]
            text = f"{me} says {n}"
            if n % 10 == 3:
                number = self._attempt(text, f"{me}/whispers", f"_inbox:{peer}", [peer])
                sent = self._send(text, number, to=peer)
            elif n % 10 == 7:
                number = self._attempt(text, me, channel, [peer])
                sent = self._send(text, number, channel=channel, to=[peer])
            else:
                number = self._attempt(text, me, channel, None)
                sent = self._send(text, number, channel=channel)
            sending.append(asyncio.create_task(sent))
        await asyncio.gather(*sending)

    async def ask(self) -> None:
        questions: int = self._part["questions"]
        asking: list[asyncio.Task[None]] = []
        for n in range(1, questions + 1):
            await asyncio.sleep(self._think * self._part["messages"] / questions)
            asking.append(asyncio.create_task(self._ask(n, self._peers[n % len(self._peers)])))
        await asyncio.gather(*asking)
        while self._answering:
            await asyncio.gather(*self._answering)

    async def _ask(self, n: int, peer: str) -> None:
        text = f"{self._agent.id} asks {n}"
        number = self._attempt(text, f"{self._agent.id}/question-{n}", f"_inbox:{peer}", [peer])
        answer = await self._agent.ask(text, to=peer, type="command", id=number, timeout=ASK_SECONDS)
        if answer.text != f"{peer} answers {text}" or answer.sender != peer:
            raise AssertionError(f"{text}: {answer.sender} said {answer.text}")

    def _answer(self, question: Message) -> None:
        text = f"{self._agent.id} answers {question.text}"
        number = self._attempt(text, f"{self._agent.id}/answers", f"_inbox:{question.sender}", [question.sender])

        async def answer() -> None:
            acked(number, await question.reply(text, id=number))

        task = asyncio.create_task(answer())
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    async def _send(self, text: str, number: str, **options: Any) -> None:
        acked(number, await self._agent.send(text, id=number, **options))

    def _attempt(self, text: str, producer: str, channel: str, audience: Sequence[str] | None) -> str:
        """Writes down that it is about to say this, and returns the id under which it must."""
        self._attempts += 1
        number = f"{self._agent.id}-{self._attempts}"
        attempted = {"kind": "attempted", "attempt": number, "producer": producer, "sender": self._agent.id}
        tell({**attempted, "channel": channel, "id": number, "digest": digest_of(text), "audience": audience})
        return number


def acked(attempt: str, receipt: Receipt) -> None:
    channel, _, place = receipt.position.rpartition("@")
    epoch, _, sequence = place.partition(".")
    where = {"channel": channel, "epoch": int(epoch, 16), "sequence": int(sequence)}
    tell({"kind": "acked", "attempt": attempt, "place": where, "duplicate": receipt.duplicate})


def place_of(message: Message) -> dict[str, Any]:
    return {"channel": message.address, "epoch": message.epoch, "sequence": message.sequence}


def digest_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def tell(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


async def main() -> None:
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    part = json.loads(await lines.readline())
    async with AgentBus(part["url"]) as bus:
        talker = Talker(part, bus.agent(part["agent"]))
        subscription = await talker.listen()
        tell({"milestone": "listening"})

        async def follow_the_script() -> None:
            await lines.readline()
            await asyncio.gather(talker.speak(), talker.ask())
            tell({"milestone": "finished"})
            await lines.read()
            await subscription.close()

        await asyncio.gather(talker.read(subscription), follow_the_script())


asyncio.run(main())
