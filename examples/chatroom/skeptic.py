"""An agent that doubts every hypothesis. Where `doubt` is, an LLM would be asked."""

import asyncio
import os
import signal

from agentbus import AgentBus

ROOM = "science:explore"


async def main() -> None:
    async with AgentBus(os.environ.get("AGENTBUS_URL", "http://127.0.0.1:7400")) as bus:
        skeptic = bus.agent("skeptic", kind="ai_agent", description="Doubts hypotheses")
        await skeptic.join(ROOM)

        async with skeptic.subscribe(channels=[ROOM], filter={"names": ["Hypothesis"]}) as subscription:
            await subscription.ready()
            leave_on_signal(subscription.close)
            print(f"skeptic listens in {ROOM}", flush=True)

            async for message in subscription:
                await message.reply(doubt(message.text), name="Doubt")


def doubt(hypothesis: str) -> str:
    return f"How would one measure that? I see {len(hypothesis.split())} words and no number."


def leave_on_signal(close) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, lambda: asyncio.ensure_future(close()))


asyncio.run(main())
