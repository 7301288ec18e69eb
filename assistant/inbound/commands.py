"""Commands: answered at once, beside the turn that runs."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from assistant.contracts.inbox import InboundMessage, SessionRef
from assistant.contracts.sessions import SessionStore
from assistant.inbound import phrases as words
from assistant.inbound.runner import TurnRunner
from assistant.turns.service import Turns

Overview = Callable[[], Awaitable[Sequence[str]]]
"""Lines for the owner, in private: the states of channels and deliveries."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Commands:
    """Answers `inbox.COMMANDS`. The model reads an unknown command as words."""

    turns: Turns
    sessions: SessionStore
    answering: TurnRunner
    model: str
    waiting: Callable[[str, str], int]
    """How many messages wait in (owner, session)."""
    overview: Overview | None

    async def answer(self, message: InboundMessage, place: SessionRef) -> str | None:
        """The answer, once the command has taken effect; None: not one of these commands. Raises StoreUnavailable."""
        if message.command is None or not message.trusted:
            return None
        key = (place.owner, place.session)
        match message.command.name:
            case "start":
                return words.START
            case "help":
                return words.HELP
            case "id":
                return words.ids(message.address.chat_id, message.address.thread_id, message.sender.id)
            case "stop" if self.answering.works_on(key):
                return words.STOPPED_WITH_MORE if self.waiting(*key) else words.STOPPED
            case "stop":
                return words.NOTHING_TO_STOP
            case "new":
                await self.turns.start_over(*key)
                return words.NEW_STOPPED if self.answering.works_on(key) else words.NEW
            case "status":
                return await self._status(place, private=message.private)
            case _:
                return None

    def follow_up(self, message: InboundMessage, place: SessionRef) -> None:
        """What a command does once its answer is stored, so that a repeated command does nothing."""
        if message.command is not None and message.command.name in ("stop", "new"):
            self.answering.stop((place.owner, place.session))

    async def _status(self, place: SessionRef, *, private: bool) -> str:
        session = await self.sessions.get(place.owner, place.session)
        more = await self.overview() if place.role == "owner" and private and self.overview else ()
        return words.status(
            model=self.model,
            messages=session.messages if session else 0,
            working=self.answering.works_on((place.owner, place.session)),
            waiting=self.waiting(place.owner, place.session),
            more=more,
        )
