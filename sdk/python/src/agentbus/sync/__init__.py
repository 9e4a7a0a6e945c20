"""The same words as `agentbus`, without asyncio: `from agentbus.sync import AgentBus`.

Each AgentBus runs the asyncio client in one background thread; every method here waits for it. The objects may be used
from several threads. Ctrl-C interrupts a waiting call and cancels it. After a fork the thread is not there: make the
AgentBus in the child process (with multiprocessing, use the "spawn" or "forkserver" start method).
"""

from ..errors import BusError, ClosedError, SubscriptionEnded
from .agent import Agent
from .bus import AgentBus, connect
from .directory import Agents, Channels, Rooms
from .message import Message
from .subscription import Page, Subscription, SubscriptionEvent

__all__ = [
    "Agent",
    "AgentBus",
    "Agents",
    "BusError",
    "Channels",
    "ClosedError",
    "Message",
    "Page",
    "Rooms",
    "Subscription",
    "SubscriptionEnded",
    "SubscriptionEvent",
    "connect",
]
