"""What the tests share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from scripted_bus import ScriptedBus

from agentbus import AgentBus, backoff


@pytest.fixture
async def scripted() -> AsyncIterator[ScriptedBus]:
    bus = ScriptedBus()
    await bus.start()
    yield bus
    await bus.stop()


@pytest.fixture
async def bus(scripted: ScriptedBus) -> AsyncIterator[AgentBus]:
    async with AgentBus(scripted.url, close_timeout=0) as client:
        yield client


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Pauses between attempts are real but tiny: what is tested is what happens after them."""
    if "real_pauses" not in request.keywords:
        monkeypatch.setattr(backoff, "INITIAL_SECONDS", 0.001)
        monkeypatch.setattr(backoff, "MAX_SECONDS", 0.01)


@pytest.fixture(autouse=True)
async def _nothing_left() -> AsyncIterator[None]:
    """A test that leaves a task of the package running fails."""
    yield
    current = asyncio.current_task()
    left = [task for task in asyncio.all_tasks() if task is not current and "agentbus" in task.get_name()]
    assert not left, f"left running: {left}"
