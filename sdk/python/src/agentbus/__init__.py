"""A client of agentbus, the message bus for systems of agents. `agentbus.sync` has the same without asyncio."""

from ._version import __version__
from .agent import Agent
from .agents import AgentChange, Agents
from .bus import AgentBus, BusOptions, connect
from .channel_settings import ChannelInit, ChannelSettings, Retention, RoomSettings, Routing
from .channels import Channels
from .errors import BusError, ClosedError, FieldViolation, SubscriptionEnded
from .events import CaughtUp, Cut, Event, Gap, Heartbeat, Opened, SubscriptionEvent
from .history import Page
from .message import Message
from .options import (
    AskOptions,
    Capability,
    FetchOptions,
    Filter,
    Profile,
    Recipients,
    Selection,
    SendOptions,
    SubscribeOptions,
)
from .positions import MemoryPositionStore, PositionStore
from .reasons import REASONS, ReasonEntry
from .receipt import Audience, Receipt
from .rooms import RoomChange, Rooms
from .subscription import Subscription

__all__ = [
    "REASONS",
    "Agent",
    "AgentBus",
    "AgentChange",
    "Agents",
    "AskOptions",
    "Audience",
    "BusError",
    "BusOptions",
    "Capability",
    "CaughtUp",
    "ChannelInit",
    "ChannelSettings",
    "Channels",
    "ClosedError",
    "Cut",
    "Event",
    "FetchOptions",
    "FieldViolation",
    "Filter",
    "Gap",
    "Heartbeat",
    "MemoryPositionStore",
    "Message",
    "Opened",
    "Page",
    "PositionStore",
    "Profile",
    "ReasonEntry",
    "Receipt",
    "Recipients",
    "Retention",
    "RoomChange",
    "RoomSettings",
    "Rooms",
    "Routing",
    "Selection",
    "SendOptions",
    "SubscribeOptions",
    "Subscription",
    "SubscriptionEnded",
    "SubscriptionEvent",
    "__version__",
    "connect",
]
