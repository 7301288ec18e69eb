"""Sessions with their messages, and the attachments that belong to them."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Final, Literal, Protocol

from assistant.contracts.causes import Payer
from assistant.contracts.documents import ReadDocument, ReadImage
from assistant.contracts.errors import InvalidRequest
from assistant.contracts.messages import AssistantMessage, Message, ToolMessage, Usage, UserMessage
from assistant.contracts.outbox import OutboundEvent
from assistant.contracts.provenance import Provenance
from assistant.contracts.records import record

if TYPE_CHECKING:
    from assistant.contracts.turns import Upload

if TYPE_CHECKING:
    from assistant.contracts.turns import Upload

TurnState = Literal["running", "finished", "failed", "cancelled", "timeout", "interrupted"]


@record
class Session:
    """A conversation, as listed. `usage`: summed over all its turns."""

    key: str
    owner: str
    created: datetime
    updated: datetime
    messages: int
    usage: Usage
    read: frozenset[Provenance] = frozenset()
    """Whose words its conversation holds beside the person's, since it was started over; of those in UNTRUSTED. A summary forgets none."""
    context_from: int = 1
    """The seq of the first message that the model sees: behind what was summed up, or said before it was started over."""
    title: str = ""
    """As the person called it, else the first words of the first message; one line."""
    running: bool = False
    """Whether a turn runs or waits in it."""


@record
class StoredMessage:
    """A message with its place, turn and time."""

    seq: int
    """Its place in the session, from 1, without gaps."""
    turn_id: str
    at: datetime
    message: Message


@record
class CachedUpTo:
    """What the caller holds of a session, so that only the rest is read: all up to message `seq` of session row `row`."""

    row: int
    seq: int
    revision: int = 0
    """`History.revision` as it was."""


@record
class SessionCut:
    """A cut of a session: what the model sees begins at message `seq`; all messages stay stored."""

    seq: int
    text: str
    """The summary of what was before; empty: nothing was cut off yet."""
    results_from: int
    """The results of tools before this message are shown in one line each."""
    tokens: int
    """Of the summary, estimated."""
    made_by: str
    """The model that wrote the summary; empty: it was put together without one."""
    at: datetime


@record
class History:
    """What the model sees of a session before the new message, or the part of it after `CachedUpTo`."""

    row: int
    """The session's row; a session that is deleted and created again gets another."""
    fresh: bool
    """True: `messages` is all from `context_from` on. False: only what follows `CachedUpTo.seq`."""
    context_from: int
    """The first seq that the model sees; earlier ones were cut off."""
    messages: tuple[Message, ...]
    seq: int
    """That of the turn's first own message: `said` is stored and not part of `messages`."""
    said: tuple[UserMessage | ToolMessage, ...] = ()
    """What the new turn added: the results that answer calls, then the user's message."""
    revision: int = 0
    """Another one than before: a cut, a redaction or a new beginning changed what the model sees."""
    cut: SessionCut | None = None
    """The cut at `context_from`. Only where `fresh`."""


@record
class NewTurn:
    """A turn about to begin."""

    id: str
    owner: str
    session: str
    message: UserMessage | None
    """None: there are `results` alone."""
    results: tuple[ToolMessage, ...] = ()
    """Of the client's tools; see `accepted`."""
    history: tuple[Message, ...] = ()
    """What a session that this turn creates begins with, before the results and the message."""
    read: frozenset[Provenance] = frozenset()
    """As `TurnRequest.inherits`."""


def accepted(turn: NewTurn, since: Sequence[Message]) -> tuple[ToolMessage, ...]:
    """The turn's results that answer a call of the last step, named as it is. `since`: the session from behind its last user message.

    With a message, other results are left out: they belong to a history that the session has already. Without one, InvalidRequest is raised for a
    result that no call waits for, and for a call that is left without one. After a turn that was cut off, the results it began with may come again.
    """
    steps = [place for place, message in enumerate(since) if isinstance(message, AssistantMessage) and message.cut_off is None]
    step = since[steps[-1]] if steps else None
    calls = step.tool_calls if isinstance(step, AssistantMessage) else ()
    answered = [message.call_id for message in (since[steps[-1] :] if steps else ()) if isinstance(message, ToolMessage)]
    waiting = {call.id: call.name for call in calls if call.id not in answered}
    cut_off = bool(since) and isinstance(last := since[-1], AssistantMessage) and last.cut_off is not None
    again = [message.call_id for message in since if isinstance(message, ToolMessage)] if cut_off else []
    taken = {result.call_id: result for result in reversed(turn.results) if result.call_id in waiting}
    if turn.message is None:
        for result in turn.results:
            if result.call_id not in waiting and result.call_id not in again:
                raise InvalidRequest(f"No call '{result.call_id[:64]}' waits for a result in this session.", param="messages")
        if missing := [call for call in waiting if call not in taken]:
            raise InvalidRequest(f"The call '{missing[0][:64]}' waits for a result, too: send them together.", param="messages")
    return tuple([replace(taken[call], name=name, from_client=True) for call, name in waiting.items() if call in taken])


BeforeCut = Callable[[str, str, int], Awaitable[None]]
"""Called with the owner, the session and the last seq before messages up to it leave what the model sees: what is learned of them is learned first.
It has 30 s, while the summary is written. The messages stay stored: what it raises is logged, and the cut is made."""
ONCE: Final = "once:"
"""Prefix of the key of a session of one request: it isn't listed, and is removed a day later (`SessionStore.purge`)."""


class SessionStore(Protocol):
    """Sessions by (owner, key); messages are added at the end, and taken back from there. Each write is one transaction, durable when the call
    returns.

    Any Unicode but lone surrogates comes back as it was. Every method may raise StoreUnavailable. Cancelling a call does not undo it.
    `owner` None means any owner's (the command line).
    """

    async def begin_turn(self, turn: NewTurn, known: CachedUpTo | None) -> History:
        """Create the session if it is new (with `turn.history`), append the accepted results and the message, mark the turn as running; returns the
        history before. Raises what `accepted` raises.

        Waits while another process runs a turn in the session, or has one waiting there since before. A turn of a process that died, or gave no sign
        for 15 s, is settled as "interrupted". A call that was cancelled leaves its place by `end_turn`.
        """
        ...

    async def resume_turn(self, turn_id: str, known: CachedUpTo | None) -> History | None:
        """Resume a turn that another process began. None: it was never begun, or has ended: call `begin_turn`.

        `History.messages` includes the user's message and the finished steps; `seq` is one more than the last one's.
        """
        ...

    async def append_step(self, turn_id: str, messages: Sequence[AssistantMessage | ToolMessage], payer: Payer | None = None) -> int:
        """Append one step of a running turn; returns the last seq. Writes nothing and returns 0 if the turn does not run any more. `payer`: the
        turn's, for the journal of what its tools did (`contracts.audit`), written in the same transaction."""
        ...

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
        """Append the turn's last step and settle its state (with the error's code); returns the last seq. In the same transaction, and even
        if the turn does not run, `outbound` is enqueued and with `inbound` the turn's inbound messages are settled as answered. `payer`: as in
        `append_step`.

        If the turn does not run any more (its session was deleted, it was settled before), no message is written and 0 is returned.
        """
        ...

    async def recover(self) -> int:
        """Settle the turns of dead processes as "interrupted", each with an AssistantMessage(cut_off="interrupted"); returns how many.

        Turns of the inbox are left to `InboxStore.recover`, those of running job nodes to their job. Called at start; harmless at any time.
        """
        ...

    async def list(
        self, owner: str | None, *, limit: int = 50, before: str | None = None, words: str = "", among: Sequence[str] = ()
    ) -> Sequence[Session]:
        """The latest first, without those of one request (`ONCE`). `before`: the key of the last session of the previous page. `words`: only those
        whose title holds them, in any case of letters, and those whose keys are `among`."""
        ...

    async def rename(self, owner: str, key: str, title: str) -> bool:
        """Call a session so, on one line; empty: after its first words again. Returns False if there is no such session."""
        ...

    async def get(self, owner: str | None, key: str) -> Session | None: ...

    async def messages(
        self, owner: str | None, key: str, *, after: int = 0, before: int | None = None, limit: int = 1000
    ) -> Sequence[StoredMessage]:
        """By seq, the first ones after `after`; with `before`, the last ones before that. None for a session that does not exist."""
        ...

    async def start_over(self, owner: str, key: str) -> bool:
        """Later turns see no earlier message; all stay stored. Returns False if there is no such session."""
        ...

    async def delete(self, owner: str | None, key: str) -> bool:
        """Remove the session, its messages, turns and attachments, behind the turns that other processes run in it (at once for `owner` None).
        Returns False if there is no such session."""
        ...

    async def take_back(self, owner: str, key: str, seq: int) -> int | None:
        """Remove the messages from `seq` on, with what was made of them: a person takes back what they said, and what was answered. Returns how
        many; None if there is no such session. Raises SessionBusy while a turn runs or is owed, InvalidRequest where `seq` is no message of the
        person's, or one that the model sees no more."""
        ...

    async def purge(self, before: datetime) -> int:
        """Remove sessions of one request (`ONCE`) last used before this time, with their attachments; returns how many."""
        ...

    async def check(self) -> None:
        """Write something, to see whether the store can be written. Raises StoreUnavailable with the reason."""
        ...


@record
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

    async def keep_file(self, owner: str, session: str, upload: "Upload", read: ReadDocument | ReadImage) -> str:
        """Store a file that a tool read or made, for as long as the session lasts; returns the attachment's id."""
        ...

    async def keep_picture(self, owner: str, session: str, name: str, picture: ReadImage) -> str:
        """Store a picture that a tool brought as an attachment, which its result shows; returns its id."""
        ...

    async def document(self, owner: str, session: str, attachment_id: str) -> tuple[Attachment, ReadDocument] | None:
        """The whole text of an attachment of this session. None: the session has none with that id, or it is an image."""
        ...

    async def list(self, owner: str, session: str) -> Sequence[Attachment]:
        """The session's attachments that a message refers to, the oldest first."""
        ...
