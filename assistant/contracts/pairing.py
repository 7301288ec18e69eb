"""Pairing: how a stranger becomes somebody who may write, by the owner's word."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from assistant.contracts.inbox import Sender


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairing:
    channel: str
    sender: Sender
    chat_id: str
    """The private chat in which the code was asked for."""
    code: str | None
    """Open: what the owner approves. None: approved."""
    created: datetime
    expires_at: datetime | None
    """Of an open one."""


class PairedSenders(Protocol):
    """What `access` needs of the pairings. Raises StoreUnavailable."""

    async def paired(self, channel: str, sender_id: str) -> bool: ...

    async def list(self, now: datetime) -> Sequence[Pairing]:
        """Open pairings that have not expired, and approved ones, the latest first."""
        ...
