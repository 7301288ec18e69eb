"""The 24 hours after a person's message in which WhatsApp takes free words, and what was asked of them since.
https://developers.facebook.com/documentation/business-messaging/whatsapp/messages/send-messages#customer-service-windows"""

from datetime import UTC, datetime, timedelta
from typing import Final

from assistant.contracts.notes import ChannelNotes
from channels.kit.values import Latest

WINDOW: Final = timedelta(hours=24)
_MOST: Final = 4096


class AnswerWindows:
    """The times are kept in the channel's notes. A chat of which none is known counts as open: WhatsApp itself decides."""

    def __init__(self, notes: ChannelNotes) -> None:
        self._notes = notes
        self._wrote: Latest[datetime] = Latest(_MOST)

    async def wrote(self, chat: str, at: datetime, *, keep: bool) -> None:
        """A person wrote. `keep`: beyond this process. Raises StoreUnavailable."""
        if (before := self._wrote.get(chat)) is not None and at <= before:
            return
        self._wrote[chat] = at
        if keep:
            await self._notes.keep(f"wrote:{chat}", at.isoformat())

    async def closed(self, chat: str) -> bool:
        at = self._wrote.get(chat)
        if (at is None or _is_over(at)) and (kept := await self._notes.get(f"wrote:{chat}")) is not None:  # maybe by another server, since
            at = self._wrote[chat] = max(datetime.fromisoformat(kept), at or datetime.min.replace(tzinfo=UTC))
        return at is not None and _is_over(at)

    async def shut(self, chat: str, said: datetime) -> None:
        """WhatsApp said then that it is closed; a person who wrote after that has opened it."""
        before = self._wrote.get(chat)
        if before is not None and before > said:
            return
        at = said - 2 * WINDOW
        self._wrote[chat] = at
        await self._notes.keep(f"wrote:{chat}", at.isoformat())

    async def asked(self, chat: str) -> bool:
        """Whether a template was sent for a message that waits, in the last 24 hours."""
        kept = await self._notes.get(f"asked:{chat}")
        return kept is not None and datetime.now(UTC) - datetime.fromisoformat(kept) <= WINDOW

    async def ask(self, chat: str) -> None:
        await self._notes.keep(f"asked:{chat}", datetime.now(UTC).isoformat())


def _is_over(wrote: datetime) -> bool:
    return datetime.now(UTC) - wrote > WINDOW
