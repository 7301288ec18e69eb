"""What a chat is told at the end of a turn, and by the assistant itself: events for the outbox."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from assistant.contracts.clock import Clock
from assistant.contracts.errors import TurnCancelled
from assistant.contracts.ids import derived_id
from assistant.contracts.inbox import InboundMessage, Place, Taken
from assistant.contracts.outbox import Origin, OriginKind, OutboundEvent
from assistant.contracts.turns import TurnFailed, TurnFinished
from assistant.inbound import words
from assistant.inbound.company import Company

_END: Final = "end"
"""The cause, beside the turn's id, of what is told at its end: there is one, however often it is made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Writer:
    """Makes events that answer messages."""

    clock: Clock
    expire_after: timedelta
    """How long a reply is tried."""
    quoting: frozenset[str] = frozenset()
    """Channels on which answers refer to their message in private chats, too; in groups they always do."""

    def reply_to(self, message: InboundMessage) -> str | None:
        """What an answer to it refers to."""
        return message.message_id if not message.private or message.address.channel in self.quoting else None

    def event(self, id: str, kind: OriginKind, message: InboundMessage, place: Place, text: str) -> OutboundEvent:
        """An answer to a message; `text` is not empty."""
        return OutboundEvent(
            id=id,
            address=message.address,
            text=text,
            reply_to=self.reply_to(message),
            expires_at=self.clock() + self.expire_after,
            origin=Origin(kind=kind, owner=place.owner, session=place.session),
        )

    def of_turn(self, kind: OriginKind, taken: Taken, text: str, *, replaces: str | None = None) -> OutboundEvent:
        """What is told at the end of a turn: the same id each time."""
        message = taken.messages[-1]
        return OutboundEvent(
            id=derived_id("evt", taken.turn_id, _END),
            address=message.address,
            text=text,
            reply_to=self.reply_to(message),
            replaces=replaces,
            expires_at=self.clock() + self.expire_after,
            origin=Origin(kind=kind, owner=taken.place.owner, session=taken.place.session, turn_id=taken.turn_id),
        )

    def set_aside(self, taken: Taken) -> OutboundEvent:
        """For whoever wrote what broke the server twice."""
        return self.of_turn("notice", taken, words.SET_ASIDE)


class ChatReply:
    """The `Reply` of a turn of the inbox."""

    def __init__(self, taken: Taken, writer: Writer, company: Company) -> None:
        self._taken = taken
        self._writer = writer
        self._company = company

    async def outbound(self, end: TurnFinished | TurnFailed) -> Sequence[OutboundEvent]:
        """The answer, in place of its preview; or why there is none. Nothing for an answer without words, nor for a turn that was stopped:
        whoever stopped it was told so at once."""
        posted = await self._company.finish()
        if isinstance(end, TurnFinished):
            text = words.answer(end.text, end.finish_reason)
            return [self._writer.of_turn("reply", self._taken, text, replaces=posted)] if text else []
        if isinstance(end.error, TurnCancelled):
            return []
        return [self._writer.of_turn("notice", self._taken, words.failure(end))]
