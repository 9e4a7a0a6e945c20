"""A message whose `reply` waits."""

from __future__ import annotations

from ..message import MessageBase
from ..receipt import Receipt


class Message(MessageBase[Receipt]):
    """What an agent said, once, in one channel. `message.reply(...)` answers it and returns when that is stored."""

    __slots__ = ()
