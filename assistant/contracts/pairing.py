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


class PairingStore(Protocol):
    """Open and approved pairings. Durable; raises StoreUnavailable."""

    async def request(self, pairing: Pairing, *, most_open: int) -> Pairing | None:
        """Open it, or give back the sender's open one as it is. None: already `most_open` are open on this channel."""
        ...

    async def approve(self, code: str, now: datetime) -> Pairing | None:
        """Approve the open one by its code (in any case of letters). None: there is none, or it has expired."""
        ...

    async def paired(self, channel: str, sender_id: str) -> bool: ...

    async def list(self, now: datetime) -> Sequence[Pairing]:
        """Open ones (that have not expired) and approved ones, the latest first."""
        ...

    async def revoke(self, channel: str, sender_id: str) -> bool:
        """Remove the sender's pairing, open or approved. False: there was none."""
        ...
