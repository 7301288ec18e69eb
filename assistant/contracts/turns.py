"""A turn: one user message and everything up to its answer. Its request and its events."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import field
from pathlib import Path
from typing import Final, Literal, Protocol

from assistant.contracts.addresses import Address
from assistant.contracts.causes import MESSAGE, Cause, Payer
from assistant.contracts.effects import Effect, PendingApproval
from assistant.contracts.errors import NanobotError
from assistant.contracts.messages import AssistantMessage, Extras, FinishReason, Text, ToolCall, ToolMessage, Usage, Verbatim, no_extras
from assistant.contracts.models import Sampling, ToolChoice, ToolSpec
from assistant.contracts.outbox import OutboundEvent
from assistant.contracts.provenance import Provenance
from assistant.contracts.records import record
from assistant.contracts.sessions import SessionCut
from assistant.contracts.tools import TurnTool

MAIN: Final = "main"
"""The id of the default agent: `agents.defaults` in the configuration."""


@record
class AgentFacts:
    """The public facts about an agent: its model's provider, the names of its own tools."""

    provider: str
    tools: frozenset[str]


@record
class UserText:
    """Text of the user's message; the fields are as in `messages.Text`."""

    text: str
    quoted: bool = False
    chosen: bool = False
    author: str = ""
    provenance: Provenance | None = None
    kind: Literal["words"] = "words"


@record
class Upload:
    """A file as received: spooled to disk, unread. Its receiver removes `path` when the turn was accepted or refused."""

    name: str
    """As the sender called it, by `util.display_name`: for display only, never a path."""
    path: Path
    size: int
    digest: str
    """SHA-256 of the bytes, 64 hex digits."""
    param: str | None = None
    """The dotted path of its request field, for errors."""
    unread: str = ""
    """Why it is stored without being read, for the model; empty: it is read."""
    detail: str = ""
    """Of a picture for a registered model; as in `messages.Image`."""
    sound: Literal["", "words", "file"] = ""
    """Of a recording: "words", what its sender says to the assistant; "file", a file like others. Empty: its bytes say whether it is one."""
    author: str = ""
    """Of "words" in a group, whose they are; as in `messages.Text`."""
    kind: Literal["upload"] = "upload"


@record
class HistoryMessage:
    """A message of the user's within a history that the client sent."""

    content: tuple[UserText | Upload | Verbatim, ...]
    """Verbatim parts are for registered models alone."""
    extras: Extras = field(default_factory=no_extras)
    """As in `messages.UserMessage`."""
    kind: Literal["asked"] = "asked"


Earlier = HistoryMessage | AssistantMessage | ToolMessage


@record
class TurnRequest:
    """A turn to be run."""

    id: str
    """`turn_…`"""
    owner: str
    """The id of the person, or the group, whose session it is."""
    session: str
    """The session's key: "api:my-session"."""
    content: tuple[UserText | Upload, ...]
    agent: str = MAIN
    results: tuple[ToolMessage, ...] = ()
    """What the client's tools answered to calls that the session's last answer ended with; `content` may then be empty."""
    history: tuple[Earlier, ...] = ()
    """What the client says was said before: a new session begins with it; one that exists has its own history, and ignores this."""
    instructions: tuple[str, ...] = ()
    """Instructions for this turn only (the request's system and developer messages); not kept."""
    sampling: Sampling = field(default_factory=Sampling)
    stream: bool = False
    tools: tuple[TurnTool, ...] = ()
    """The caller's tools for this turn, besides the agent's."""
    client_tools: tuple[ToolSpec, ...] = ()
    """Tools that the client runs between two requests: a step that calls one ends the turn. One called like a tool of the agent replaces it."""
    tool_choice: ToolChoice | None = None
    parallel_calls: bool | None = None
    only_tools: frozenset[str] | None = None
    """The names of those of the agent's own tools that this turn may use; None: all."""
    within: tuple[str, ...] = ()
    """The agents that asked for this turn of a helper: what their gates refuse, or want asked, holds, too."""
    inherits: frozenset[Provenance] = frozenset()
    """What had been read where this turn was asked for, as if it had been read in its own session."""
    timeout: float | None = None
    """Seconds that it may take; None: as all do (`api.timeout`)."""
    address: Address | None = None
    """The chat that the turn answers; None: a caller of the API."""
    cause: Cause = MESSAGE
    caller: str = ""
    """The credential or sender that asked, where it is not `owner`; its limits hold, too."""
    asker: str = ""
    """The person whose wish it is, where that is not `owner`: in a group. Approvals are theirs to give."""
    first: ToolCall | None = None
    """Run before the model is asked, as if it had called it: the call that was approved."""
    approval: str = ""
    """The approval of `first`."""
    reply: "Reply | None" = None
    """For a turn of the inbox: what goes out when it ends. Such a turn is always `resumable`."""
    keep: "Keep | None" = None
    """Stores the end before it is reported."""
    resumable: bool = False
    """Whether it may be started again under its id after a crash or a stop, and continues after its last stored step. The row of its cause
    keeps the store from settling it meanwhile (inbox, job_nodes, tasks)."""

    @property
    def payer(self) -> Payer:
        return Payer(owner=self.owner, caller=self.caller or self.owner, session=self.session, agent=self.agent, cause=self.cause)

    @property
    def resumes(self) -> bool:
        return self.resumable or self.reply is not None

    @property
    def uploads(self) -> list[Upload]:
        """Every file of the request, those of the history first."""
        contents = [*(earlier.content for earlier in self.history if isinstance(earlier, HistoryMessage)), self.content]
        return [item for content in contents for item in content if isinstance(item, Upload)]


@record
class TextDelta:
    """More text of the answer, which joined is `TurnFinished.text`. Only if the request has `stream`."""

    text: str
    index: int = 0
    """Which of several answers (`TurnFinished.answers`) it belongs to."""
    kind: Literal["text_delta"] = "text_delta"


@record
class ReasoningDelta:
    """More of the model's thoughts, which joined are `TurnFinished.reasoning`. Only if the request has `stream`. Never shown in chats."""

    text: str
    index: int = 0
    """As in TextDelta."""
    kind: Literal["reasoning_delta"] = "reasoning_delta"


@record
class ToolStarted:
    call_id: str
    name: str
    arguments: str
    reads_only: bool
    """False: from here on, repeating the turn is not harmless."""
    kind: Literal["tool_started"] = "tool_started"


@record
class ToolFinished:
    call_id: str
    name: str
    text: str
    ok: bool
    effects: tuple[Effect, ...] = ()
    pending: PendingApproval | None = None
    kind: Literal["tool_finished"] = "tool_finished"


@record
class TurnFinished:
    """The answer, whole and stored."""

    turn_id: str
    text: str
    finish_reason: FinishReason
    usage: Usage
    """Summed over all model calls of this turn."""
    model: str
    answers: tuple[AssistantMessage, ...] = ()
    """Of a model without an agent: its answers (`n` of the request), with their calls of the client's tools. Of an agent: its answer, where that
    ends with such calls. `text`, `reasoning` and `finish_reason` are the first one's."""
    reasoning: str = ""
    """The model's thoughts in all steps, in words."""
    effects: tuple[Effect, ...] = ()
    """What the turn did, in order, steps from before a crash included."""
    pending: tuple[PendingApproval, ...] = ()
    """Its calls that wait for a person's yes."""
    heard: tuple[Text, ...] = ()
    """What was heard in the message that it answers, and why something was not."""
    kind: Literal["turn_finished"] = "turn_finished"


@record
class TurnFailed:
    """The turn ended without a whole answer, as the session records. The last event."""

    turn_id: str
    error: NanobotError
    acted: bool
    """Whether a tool that changes something ran: repeating the request is then not harmless."""
    effects: tuple[Effect, ...] = ()
    """What it did before it ended."""
    kind: Literal["turn_failed"] = "turn_failed"


TurnEvent = TextDelta | ReasoningDelta | ToolStarted | ToolFinished | TurnFinished | TurnFailed


class FollowedTurn(Protocol):
    """A turn that another one than its caller listens to."""

    @property
    def id(self) -> str: ...

    def follow(self) -> AsyncIterator[list[TurnEvent]]:
        """What was said and done so far, then what comes, in batches; the last event is TurnFinished or TurnFailed."""
        ...


Emit = Callable[[TurnEvent], None]
"""Never blocks, never raises, called on the event loop."""
Keep = Callable[[TurnFinished | TurnFailed], Awaitable[None]]
"""Called once, with the end of a turn. Raises NanobotError if it can't be stored; the turn then ends with that error."""


class Reply(Protocol):
    """Makes the messages that tell a chat how a turn ended."""

    async def outbound(self, end: TurnFinished | TurnFailed) -> Sequence[OutboundEvent]:
        """The messages to be enqueued in the transaction that stores this end. Called once, right before; must not fail, and
        take no longer than a voice message takes to be made."""
        ...

    def of_cut(self, cut: SessionCut) -> OutboundEvent | None:
        """The line that tells of a cut of the session, enqueued with it; None: it is not told."""
        ...
