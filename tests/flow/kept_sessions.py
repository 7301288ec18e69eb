"""Sessions in memory, as far as the API reads them."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from assistant.contracts.causes import Payer
from assistant.contracts.errors import InvalidRequest, StoreUnavailable
from assistant.contracts.messages import AssistantMessage, Message, ToolMessage, Usage
from assistant.contracts.outbox import OutboundEvent
from assistant.contracts.sessions import CachedUpTo, History, NewTurn, Session, StoredMessage, TurnState


class KeptSessions:
    """Holds what a test put in with `keep`."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], tuple[Session, list[StoredMessage]]] = {}
        self.broken = False

    def keep(self, key: str, *messages: Message, owner: str = "local", usage: Usage | None = None) -> None:
        at = datetime(2026, 11, 20, 12, len(self._kept), tzinfo=UTC)
        stored = [StoredMessage(seq=seq, turn_id="turn_1", at=at, message=message) for seq, message in enumerate(messages, 1)]
        session = Session(key=key, owner=owner, created=at, updated=at, messages=len(stored), usage=usage or Usage())
        self._kept[owner, key] = session, stored

    async def list(
        self, owner: str | None, *, limit: int = 50, before: str | None = None, words: str = "", among: Sequence[str] = ()
    ) -> Sequence[Session]:
        self._check()
        found = sorted((s for s, _ in self._kept.values() if owner in (None, s.owner)), key=lambda s: s.updated, reverse=True)
        found = [session for session in found if words.lower() in session.title.lower() or session.key in among]
        keys = [session.key for session in found]
        first = keys.index(before) + 1 if before in keys else 0
        return [replace(session) for session in found[first : first + limit]]

    async def get(self, owner: str | None, key: str) -> Session | None:
        self._check()
        found = self._kept.get((owner or "local", key))
        return found[0] if found else None

    async def messages(
        self, owner: str | None, key: str, *, after: int = 0, before: int | None = None, limit: int = 1000
    ) -> Sequence[StoredMessage]:
        _, stored = self._kept[owner or "local", key]
        found = [message for message in stored if message.seq > after and (before is None or message.seq < before)]
        return found[:limit] if before is None else found[-limit:]

    async def rename(self, owner: str, key: str, title: str) -> bool:
        if (owner, key) not in self._kept:
            return False
        session, stored = self._kept[owner, key]
        self._kept[owner, key] = replace(session, title=title), stored
        return True

    async def take_back(self, owner: str, key: str, seq: int) -> int | None:
        if (owner, key) not in self._kept:
            return None
        session, stored = self._kept[owner, key]
        if not 1 <= seq <= len(stored) or stored[seq - 1].message.role != "user":
            raise InvalidRequest("There is no message of yours at this place.", param="from")
        self._kept[owner, key] = replace(session, messages=seq - 1), stored[: seq - 1]
        return len(stored) - seq + 1

    async def delete(self, owner: str | None, key: str) -> bool:
        return self._kept.pop((owner or "local", key), None) is not None

    async def begin_turn(self, turn: NewTurn, known: CachedUpTo | None) -> History:
        raise StoreUnavailable

    async def append_step(self, turn_id: str, messages: Sequence[AssistantMessage | ToolMessage], payer: Payer | None = None) -> int:
        raise StoreUnavailable

    async def end_turn(
        self,
        turn_id: str,
        state: TurnState,
        messages: Sequence[AssistantMessage | ToolMessage],
        *,
        payer: Payer | None = None,
        error: str | None = None,
        outbound: Sequence[OutboundEvent] = (),
        inbound: bool = False,
    ) -> int:
        raise StoreUnavailable

    async def resume_turn(self, turn_id: str, known: CachedUpTo | None) -> History | None:
        raise StoreUnavailable

    async def start_over(self, owner: str, key: str) -> bool:
        raise StoreUnavailable

    async def recover(self) -> int:
        return 0

    async def purge(self, before: datetime) -> int:
        return 0

    async def check(self) -> None:
        self._check()

    def _check(self) -> None:
        if self.broken:
            raise StoreUnavailable
