"""Who is on the bus."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .connection import Connection
from .envelope import kind_value, state_value, word
from .events import Cut
from .reconnecting_stream import ReconnectingStream
from .v1 import agent_pb2, agent_service_pb2

if TYPE_CHECKING:
    from .options import AgentKindName, AgentStateName


@dataclass(frozen=True)
class AgentChange:
    """What became of one agent."""

    change: str
    """One of "current", "created", "updated", "state" or "deleted"."""
    agent: agent_pb2.Agent
    """The agent as it is now; deleted: as it was."""

    @property
    def state(self) -> str:
        """One of "online", "away", "offline" or "draining"."""
        return word(agent_pb2.AgentState, "AGENT_STATE_", self.agent.state)


class Agents:
    """`bus.agents`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def get(self, agent_id: str) -> agent_pb2.Agent:
        """Reads one agent."""
        request = agent_service_pb2.GetAgentRequest(agent_id=agent_id)
        return (await self._connection.call(lambda to: to.agents.GetAgent, request)).agent

    async def list(
        self,
        *,
        kinds: Sequence[AgentKindName] = (),
        states: Sequence[AgentStateName] = (),
        group: str = "",
        capabilities: Sequence[str] = (),
        labels: Mapping[str, str] | None = None,
    ) -> AsyncIterator[agent_pb2.Agent]:
        """Iterates over the agents that fit everything that is given, by id."""
        request = agent_service_pb2.ListAgentsRequest(
            kinds=[kind_value(kind) for kind in kinds],
            states=[state_value(state) for state in states],
            group=group,
            capabilities=capabilities,
            labels=labels or {},
        )
        while True:
            page = await self._connection.call(lambda to: to.agents.ListAgents, request)
            for agent in page.agents:
                yield agent
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def delete(self, agent_id: str) -> None:
        """Forgets an agent with its memberships and its inbox. Not sent again by itself: a second attempt after a lost
        answer would say AGENT_NOT_FOUND.
        """
        request = agent_service_pb2.DeleteAgentRequest(agent_id=agent_id)
        await self._connection.call(lambda to: to.agents.DeleteAgent, request, retries=0)

    async def watch(self, agent_ids: Sequence[str] = (), *, skip_current: bool = False) -> AsyncIterator[AgentChange]:
        """Tells of agents as they come, change and go; first of those that are known now ("current"), unless
        `skip_current`. After a lost connection those that are known are told again, so that nothing is missed.
        `agent_ids`: only these.
        """
        skip = skip_current

        def request() -> agent_service_pb2.WatchAgentsRequest:
            return agent_service_pb2.WatchAgentsRequest(agent_ids=agent_ids, skip_current=skip)

        stream = ReconnectingStream(
            self._connection,
            "watch of agents",
            lambda to: to.agents.WatchAgents(request(), metadata=self._connection.metadata),
            lambda: None,
        )
        try:
            while True:
                response = await stream.next()
                if isinstance(response, Cut):
                    skip = False
                    continue
                for change in response.changes:
                    kind = word(agent_service_pb2.AgentChangeKind, "AGENT_CHANGE_KIND_", change.kind)
                    yield AgentChange(kind, change.agent)
        finally:
            stream.close()
