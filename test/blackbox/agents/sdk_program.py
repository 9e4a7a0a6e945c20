"""Carries out the steps of ../sdk/observed.ts with the Python SDK."""

from __future__ import annotations

import asyncio
import base64
import json
import pathlib
import re
import sys
import traceback
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import agentbus
from agentbus import AgentBus, BusError, ClosedError, Message, SubscriptionEnded
from agentbus.v1 import agent_pb2

Json = dict[str, Any]
MAX_MESSAGES_TO_REPLY_TO = 1_000


class FilePositions:
    """Replaced in one step, so that a killed program leaves the old positions or the new ones."""

    def __init__(self, path: str) -> None:
        self._path = pathlib.Path(path)

    def _read(self) -> dict[str, list[str]]:
        return json.loads(self._path.read_text()) if self._path.exists() else {}

    def load(self, name: str) -> Sequence[str]:
        return self._read().get(name, [])

    def save(self, name: str, positions: Sequence[str]) -> None:
        fresh = self._path.with_suffix(".new")
        fresh.write_text(json.dumps({**self._read(), name: list(positions)}))
        fresh.replace(self._path)


class Program:
    """The objects that steps made, under the handles that later steps name them by."""

    def __init__(self) -> None:
        self._buses: dict[int, AgentBus] = {}
        self._subscriptions: dict[int, agentbus.Subscription] = {}
        self._events: dict[int, AsyncIterator[Any]] = {}
        self._watches: dict[int, AsyncIterator[agentbus.AgentChange]] = {}
        self._messages: dict[str, Message] = {}
        self._handles = 0

    async def carry_out(self, step: Json) -> Any:
        return await getattr(self, f"do_{snake(step['do'])}")(step)

    def _bus(self, step: Json) -> AgentBus:
        return self._buses[step["bus"]]

    def _agent(self, step: Json) -> agentbus.Agent:
        return self._bus(step).agent(step["agent"])

    def _handle(self) -> int:
        self._handles += 1
        return self._handles

    async def do_open(self, step: Json) -> int:
        options = spoken(step["options"])
        if "positions_file" in options:
            options["positions"] = FilePositions(options.pop("positions_file"))
        handle = self._handle()
        self._buses[handle] = AgentBus(options.pop("urls"), **options)
        return handle

    async def do_close(self, step: Json) -> None:
        await self._bus(step).close()

    async def do_url(self, step: Json) -> str:
        return self._bus(step).url

    async def do_ping(self, step: Json) -> str:
        return (await self._bus(step).ping()).node_id

    async def do_profile(self, step: Json) -> None:
        self._bus(step).agent(step["agent"], **spoken(step["options"]))

    async def do_join(self, step: Json) -> str:
        return (await self._agent(step).join(step["channel"])).channel

    async def do_leave(self, step: Json) -> None:
        await self._agent(step).leave(step["channel"])

    async def do_register(self, step: Json) -> Json:
        return observe_agent(await self._agent(step).register(**spoken(step["options"])))

    async def do_update(self, step: Json) -> Json:
        return observe_agent(await self._agent(step).update(**spoken(step["options"])))

    async def do_heartbeat(self, step: Json) -> float:
        return await self._agent(step).heartbeat(**spoken(step["options"])) * 1_000

    async def do_disconnect(self, step: Json) -> None:
        await self._agent(step).disconnect()

    async def do_flush(self, step: Json) -> None:
        await self._agent(step).flush()

    async def do_close_agent(self, step: Json) -> None:
        await self._agent(step).close()

    async def do_send(self, step: Json) -> Json:
        return observe_receipt(await self._agent(step).send(content_of(step), **spoken(step["options"])))

    async def do_reply(self, step: Json) -> Json:
        message = self._messages[step["position"]]
        return observe_receipt(await message.reply(content_of(step), **spoken(step["options"])))

    async def do_ask(self, step: Json) -> list[Json]:
        answers = await self._agent(step).ask(content_of(step), **spoken(step["options"]))
        return [self._observe(each) for each in (answers if isinstance(answers, list) else [answers])]

    async def do_fetch(self, step: Json) -> Json:
        page = await self._agent(step).fetch(step["channel"], **spoken(step["options"]))
        return {
            "messages": [self._observe(each) for each in page.messages],
            "position": page.position,
            "caughtUp": page.caught_up,
            "gaps": [observe_gap(gap) for gap in page.gaps],
        }

    async def do_history(self, step: Json) -> list[Json]:
        history = self._agent(step).history(step["channel"], **spoken(step["options"]))
        return [self._observe(each) async for each in history]

    async def do_get_message(self, step: Json) -> Json:
        which = step["which"]
        given = {"position": which} if isinstance(which, str) else which
        return self._observe(await self._agent(step).get_message(**given))

    async def do_subscribe(self, step: Json) -> int:
        options = spoken(step["options"])
        events = options.pop("events", False)
        handle = self._handle()
        subscription = self._subscriptions[handle] = self._agent(step).subscribe(**options)
        if events:
            self._events[handle] = subscription.events()
        return handle

    async def do_ready(self, step: Json) -> None:
        await self._subscriptions[step["on"]].ready()

    async def do_next(self, step: Json) -> Json:
        reader = self._events.get(step["on"], self._subscriptions[step["on"]])
        try:
            event = await reader.__anext__()
        except StopAsyncIteration:
            return {"type": "done"}
        if isinstance(event, Message):
            return {"type": "message", "message": self._observe(event)}
        if isinstance(event, agentbus.Gap):
            return {"type": "gap", "gap": observe_gap(event)}
        if isinstance(event, agentbus.Opened):
            return {"type": "opened", "nodeId": event.node_id}
        return {"type": snake(type(event).__name__)}

    async def do_positions(self, step: Json) -> list[str]:
        return self._subscriptions[step["on"]].positions()

    async def do_close_subscription(self, step: Json) -> None:
        await self._subscriptions[step["on"]].close()

    async def do_watch_agents(self, step: Json) -> int:
        handle = self._handle()
        self._watches[handle] = self._bus(step).agents.watch(**spoken(step["options"]))
        return handle

    async def do_next_change(self, step: Json) -> Json:
        change = await self._watches[step["on"]].__anext__()
        return {"change": change.change, "agent": observe_agent(change.agent)}

    async def do_close_watch(self, step: Json) -> None:
        watch: Any = self._watches[step["on"]]
        await watch.aclose()

    async def do_get_agent(self, step: Json) -> Json:
        return observe_agent(await self._bus(step).agents.get(step["agent"]))

    async def do_list_agents(self, step: Json) -> list[Json]:
        return [observe_agent(each) async for each in self._bus(step).agents.list(**spoken(step["options"]))]

    async def do_create_channel(self, step: Json) -> None:
        await self._bus(step).channels.create(step["channel"], **spoken(step["options"]))

    async def do_update_channel(self, step: Json) -> str:
        answer = await self._bus(step).channels.update(step["channel"], **spoken(step["options"]))
        return answer.effective_position

    async def do_delete_channel(self, step: Json) -> None:
        await self._bus(step).channels.delete(step["channel"])

    async def do_list_channels(self, step: Json) -> list[str]:
        channels = self._bus(step).channels.list(**spoken(step["options"]))
        return [f"{each.room}:{each.channel}" async for each in channels]

    async def do_members(self, step: Json) -> list[str]:
        return [each.agent_id async for each in self._bus(step).channels.members(step["channel"])]

    async def do_create_room(self, step: Json) -> None:
        await self._bus(step).rooms.create(step["room"], **spoken(step["options"]))

    def _observe(self, message: Message) -> Json:
        self._messages[message.position] = message
        if len(self._messages) > MAX_MESSAGES_TO_REPLY_TO:
            del self._messages[next(iter(self._messages))]
        return {
            "id": message.id,
            "position": message.position,
            "sequence": message.sequence,
            "epoch": message.epoch,
            "sender": message.sender,
            "address": message.address,
            "direct": message.direct,
            "type": message.type,
            "name": message.name,
            "content": payload_of(message.content),
            "contentType": message.content_type,
            "metadata": dict(message.metadata),
            "priority": message.priority,
            "correlationId": message.correlation_id,
            "causation": message.causation,
            "replyTo": message.reply_to,
            "hopCount": message.hop_count,
            "acceptedAt": message.accepted_at.isoformat(),
        }


def snake(name: str) -> str:
    """The Python spelling of a camelCase word."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def spoken(value: Any) -> Any:
    """Options as Python spells them: snake_case, seconds for milliseconds, datetimes for their text."""
    if isinstance(value, list):
        return [spoken(each) for each in value]
    if not isinstance(value, dict):
        return value
    options: Json = {}
    for key, part in value.items():
        if key.endswith("Ms"):
            options[snake(key[:-2])] = part / 1_000
        elif key in ("since", "time"):
            options[key] = datetime.fromisoformat(part.replace("Z", "+00:00"))
        else:
            # The keys of these are the user's own.
            options[snake(key)] = part if key in ("metadata", "labels") else spoken(part)
    return options


def content_of(step: Json) -> Any:
    content = step["content"]
    if "bytes" in content:
        return base64.b64decode(content["bytes"])
    return content.get("text", content.get("json"))


def payload_of(content: Any) -> Json:
    if content is None:
        return {}
    if isinstance(content, str):
        return {"text": content}
    return {"bytes": base64.b64encode(content).decode()} if isinstance(content, bytes) else {"json": content}


def observe_receipt(receipt: agentbus.Receipt) -> Json:
    audience = receipt.audience
    return {
        "id": receipt.id,
        "position": receipt.position,
        "duplicate": receipt.duplicate,
        "audience": None if audience is None else {"count": audience.count, "agents": list(audience.agents)},
        "durability": receipt.durability,
    }


def observe_gap(gap: agentbus.Gap) -> Json:
    return {
        "channel": gap.channel,
        "firstSequence": gap.first_sequence,
        "lastSequence": gap.last_sequence,
        "cause": gap.cause,
    }


def observe_agent(agent: agent_pb2.Agent) -> Json:
    return {
        "agentId": agent.agent_id,
        "kind": agent_pb2.AgentKind.Name(agent.kind).removeprefix("AGENT_KIND_"),
        "state": agent_pb2.AgentState.Name(agent.state).removeprefix("AGENT_STATE_"),
        "screenName": agent.screen_name,
        "description": agent.description,
        "groups": list(agent.groups),
        "labels": dict(agent.labels),
        "capabilities": [each.name for each in agent.capabilities],
    }


def observe_error(error: BaseException) -> Mapping[str, Any]:
    if isinstance(error, BusError):
        return {
            "kind": "BusError",
            "code": error.code,
            "reason": error.reason,
            "retry": error.retry,
            "hasRetryDelay": error.retry_delay is not None,
            "index": error.index,
            "violations": [each.field for each in error.violations],
            "message": error.message,
        }
    if isinstance(error, SubscriptionEnded):
        return {
            "kind": "SubscriptionEnded",
            "reason": error.reason,
            "channel": error.channel,
            "message": str(error),
        }
    if isinstance(error, ClosedError):
        return {"kind": "ClosedError", "message": str(error)}
    if isinstance(error, asyncio.CancelledError):
        return {"kind": "Cancelled", "message": "cancelled"}
    if isinstance(error, (TypeError, ValueError)):
        return {"kind": "Usage", "message": str(error)}
    return {"kind": "Unexpected", "message": "".join(traceback.format_exception(error))}


def say(answer: Json) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


async def carry_out(program: Program, step: Json) -> None:
    try:
        say({"step": step["step"], "result": await program.carry_out(step)})
    except (Exception, asyncio.CancelledError) as error:
        say({"step": step["step"], "error": observe_error(error)})


async def main() -> None:
    lines = asyncio.StreamReader(limit=1 << 24)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    program = Program()
    under_way: dict[int, asyncio.Task[None]] = {}
    while line := await lines.readline():
        step = json.loads(line)
        if "cancel" in step:
            if (task := under_way.get(step["cancel"])) is not None:
                task.cancel()
            continue
        task = under_way[step["step"]] = asyncio.create_task(carry_out(program, step))
        task.add_done_callback(lambda _, number=step["step"]: under_way.pop(number))
        # It begins before the next line is read: steps begin in order, and one that is cancelled has begun.
        await asyncio.sleep(0)


asyncio.run(main())
