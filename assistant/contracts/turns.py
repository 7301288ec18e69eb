"""A turn: one user message and all that it sets off, to the answer. What starts it, and what is heard of it."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, Protocol

from assistant.contracts.addresses import Address
from assistant.contracts.errors import NanobotError
from assistant.contracts.messages import AssistantMessage, FinishReason, ToolMessage, Usage
from assistant.contracts.models import Sampling
from assistant.contracts.outbox import OutboundEvent
from assistant.contracts.tools import TurnTool

MAIN: Final = "main"
"""The id of the default agent: `agents.defaults` in the configuration."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentFacts:
    """What may be known of an agent from outside."""

    provider: str
    """Of its model."""
    tools: frozenset[str]
    """What its own tools are called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UserText:
    """Text of the user's message."""

    text: str
    quoted: bool = False
    """As in `messages.Text`."""
    chosen: bool = False
    """As in `messages.Text`."""
    kind: Literal["words"] = "words"


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A file as it arrived: spooled to disk, unread. Whoever received it removes `path` when the turn was accepted or refused."""

    name: str
    """As the sender called it, made fit to be shown (`names.display_name`): for display only, never a path."""
    path: Path
    size: int
    digest: str
    """SHA-256 of the bytes, 64 hex digits."""
    param: str | None = None
    """The dotted path of the request field that it came in, for errors."""
    unread: str = ""
    """Why it is kept without being read ("nobody can hear it: …"), for the model; empty: it is read."""
    kind: Literal["upload"] = "upload"


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryMessage:
    """A message of the user's within a history that the client sent."""

    content: tuple[UserText | Upload, ...]
    kind: Literal["asked"] = "asked"


Earlier = HistoryMessage | AssistantMessage | ToolMessage


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnRequest:
    """What every door makes of what it receives."""

    id: str
    """`turn_…`"""
    owner: str
    """The principal's id; sessions belong to it."""
    session: str
    """The session's key: "api:my-session"."""
    content: tuple[UserText | Upload, ...]
    agent: str = MAIN
    """The id of the agent that answers."""
    history: tuple[Earlier, ...] = ()
    """What the client says was said before: a session that is new begins with it; one that is there
    has a history of its own, and this is not looked at."""
    instructions: tuple[str, ...] = ()
    """Instructions for this turn only (the request's system and developer messages); not kept."""
    sampling: Sampling = field(default_factory=Sampling)
    stream: bool = False
    tools: tuple[TurnTool, ...] = ()
    """Tools of whoever asks, for this turn beside the agent's."""
    only_tools: frozenset[str] | None = None
    """The names of those of the agent's own tools that this turn may use; None: all."""
    address: Address | None = None
    """The chat that the turn answers; None: a caller of the API."""
    reply: "Reply | None" = None
    """For a turn of the inbox: what goes out when it ends. Such a turn is always `resumable`."""
    keep: "Keep | None" = None
    """What stores the end before anybody is told of it."""
    resumable: bool = False
    """Whether it may be started again under its id after a crash, or a stop of the server: then it goes on behind the last step that was stored.
    Whoever starts such a turn keeps the store from settling it meanwhile (inbox, job_nodes)."""

    @property
    def resumes(self) -> bool:
        return self.resumable or self.reply is not None

    @property
    def uploads(self) -> list[Upload]:
        """Every file of the request, those of the history first."""
        contents = [*(earlier.content for earlier in self.history if isinstance(earlier, HistoryMessage)), self.content]
        return [item for content in contents for item in content if isinstance(item, Upload)]


@dataclass(frozen=True, slots=True, kw_only=True)
class TextDelta:
    """More words of the answer. All of them joined are `TurnFinished.text`. Sent only where the request asked for a stream."""

    text: str
    index: int = 0
    """Which of several answers (`TurnFinished.answers`) goes on."""
    kind: Literal["text_delta"] = "text_delta"


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolStarted:
    call_id: str
    name: str
    arguments: str
    reads_only: bool
    """False: from here on a repeat of the turn is not harmless."""
    kind: Literal["tool_started"] = "tool_started"


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolFinished:
    call_id: str
    name: str
    text: str
    ok: bool
    kind: Literal["tool_finished"] = "tool_finished"


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnFinished:
    """The answer, whole and stored."""

    turn_id: str
    text: str
    finish_reason: FinishReason
    usage: Usage
    """Summed over all model calls of this turn."""
    model: str
    answers: tuple[AssistantMessage, ...] = ()
    """Where a model answered without an agent: what it gave, once for each answer that was asked for, with its calls of the client's tools.
    `text` and `finish_reason` are the first one's."""
    kind: Literal["turn_finished"] = "turn_finished"


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnFailed:
    """The turn ended without a whole answer; the session says so. Nothing follows."""

    turn_id: str
    error: NanobotError
    acted: bool
    """Whether a tool that changes something ran: then a repeat of the request is not harmless."""
    kind: Literal["turn_failed"] = "turn_failed"


TurnEvent = TextDelta | ToolStarted | ToolFinished | TurnFinished | TurnFailed
Emit = Callable[[TurnEvent], None]
"""Never blocks, never raises, called on the event loop."""
Keep = Callable[[TurnFinished | TurnFailed], Awaitable[None]]
"""Called once, with the end of a turn. Raises NanobotError where it can't be stored: that is the end then."""


class Reply(Protocol):
    """What a chat is told of the end of a turn."""

    async def outbound(self, end: TurnFinished | TurnFailed) -> Sequence[OutboundEvent]:
        """The messages that are enqueued in the transaction that stores this end; called once, right before. Must not fail, and not take long."""
        ...
