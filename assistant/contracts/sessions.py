"""The ports to what is kept: sessions with their messages, and the attachments that belong to them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, Protocol

from assistant.contracts.documents import ReadDocument
from assistant.contracts.messages import AssistantMessage, Message, ToolMessage, Usage, UserMessage
from assistant.contracts.outbox import OutboundEvent

TurnState = Literal["running", "finished", "failed", "cancelled", "timeout", "interrupted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A conversation, as listed."""

    key: str
    owner: str
    created: datetime
    updated: datetime
    messages: int
    usage: Usage
    """Summed over all its turns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredMessage:
    """A message with what the store knows of it."""

    seq: int
    """Its place in the session, from 1, without gaps."""
    turn_id: str
    at: datetime
    message: Message


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedUpTo:
    """What the caller still holds of a session, so that only the rest needs to be read: `seq` of the last message of session row `row`."""

    row: int
    seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What the model is to see of a session before the new message, or, after `CachedUpTo`, what came since."""

    row: int
    """The session's row; a session that was deleted and made again has another one."""
    fresh: bool
    """True: `messages` is all, from `context_from` on (nothing known, or known of another row). False: only what follows `CachedUpTo.seq`."""
    context_from: int
    """The first seq that the model sees; what is before it was trimmed."""
    messages: tuple[Message, ...]
    seq: int
    """That of the new user message, which is stored by now and not part of `messages`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTurn:
    """A turn about to begin."""

    id: str
    owner: str
    session: str
    message: UserMessage
    history: tuple[Message, ...] = ()
    """What a session that this turn makes begins with, before the message. One that is there already has its own."""


ONCE: Final = "once:"
"""What the key of a session begins with that is of one request: it isn't listed, and is removed a day after (`SessionStore.purge`)."""


class SessionStore(Protocol):
    """Sessions by (owner, key); messages are append-only. Every write is durable when the call returns; each is one transaction.

    Text of any Unicode (NUL included, lone surrogates excepted) comes back as it was. A call that the store cannot do raises StoreUnavailable.
    Cancelling a call does not undo it.
    """

    async def begin_turn(self, turn: NewTurn, known: CachedUpTo | None) -> History:
        """Make the session if it is new (with `turn.history`), append the user's message, note the turn as running, and return the
        history before it."""
        ...

    async def resume_turn(self, turn_id: str, known: CachedUpTo | None) -> History | None:
        """Go on with a turn of the inbox that another process had begun. None: it was never begun (or has ended): `begin_turn` then.

        `History.messages` goes to the last message that was stored: the user's, and those of the steps that were finished; `seq` is one more
        than its seq.
        """
        ...

    async def append_step(self, turn_id: str, messages: Sequence[AssistantMessage | ToolMessage]) -> int:
        """Append one step of a running turn. Returns the seq of the last one; 0, with nothing written, if the turn does not run any more."""
        ...

    async def end_turn(
        self,
        turn_id: str,
        state: TurnState,
        messages: Sequence[AssistantMessage | ToolMessage],
        *,
        error: str | None = None,
        context_from: int | None = None,
        outbound: Sequence[OutboundEvent] = (),
        inbound: bool = False,
    ) -> int:
        """Append the turn's last step and settle its state (with the error's code). `context_from` moves what later turns see,
        forwards only: another process may have cut further. `outbound` is enqueued, and with `inbound` the messages that the turn had taken
        are settled as answered, in the same transaction: these two also where the turn was never begun or does not run any more.

        A turn that does not run any more (its session was deleted meanwhile, it was settled before): nothing is written and 0 is returned.
        Otherwise the seq of the last message.
        """
        ...

    async def recover(self) -> int:
        """Settle turns that a dead process left running as "interrupted", each with an AssistantMessage(cut_off="interrupted") that says so.

        Turns of the inbox are left to `InboxStore.recover`: they are run again. Turns of processes that still live are left alone.
        Returns how many were settled. Called at start; harmless at any time.
        """
        ...

    async def list(self, owner: str | None, *, limit: int = 50, before: str | None = None) -> Sequence[Session]:
        """The latest first, without those of one request (`ONCE`); `before`: the key of the last one of the page before; `owner` None:
        everybody's (the command line)."""
        ...

    async def get(self, owner: str | None, key: str) -> Session | None: ...

    async def messages(self, owner: str | None, key: str, *, after: int = 0, limit: int = 1000) -> Sequence[StoredMessage]:
        """By seq. A session that does not exist has none."""
        ...

    async def start_over(self, owner: str, key: str) -> bool:
        """Later turns see nothing of what was said before; it stays in the store. False: there is no such session."""
        ...

    async def delete(self, owner: str | None, key: str) -> bool:
        """Remove the session, its messages and turns, and the attachments that no other session holds. False: there was none."""
        ...

    async def purge(self, before: datetime) -> int:
        """Remove sessions of one request (`ONCE`) that were last used before this, with their attachments; returns how many went."""
        ...

    async def check(self) -> None:
        """Return if the store can be written now (it writes); raise StoreUnavailable with the reason if not."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A stored file, as listed."""

    id: str
    name: str
    format: str
    size: int
    facts: tuple[str, ...]
    at: datetime


class SessionFiles(Protocol):
    """What tools need of the attachments (`store.attachments.AttachmentStore`). Raises StoreUnavailable."""

    async def keep_text(self, owner: str, session: str, name: str, text: str) -> str:
        """Store a text that the server made (a long tool result) as an attachment of format "text"; returns its id."""
        ...

    async def document(self, owner: str, session: str, attachment_id: str) -> tuple[Attachment, ReadDocument] | None:
        """The whole text of an attachment of this session. None: the session has none with that id, or it is an image."""
        ...

    async def list(self, owner: str, session: str) -> Sequence[Attachment]:
        """The session's attachments that a message refers to, the oldest first."""
        ...
