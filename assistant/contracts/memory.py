"""Memories: statements about a person and their world that outlive a session. Each belongs to a space (`owner`): a person, or a group."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Final, Literal, NoReturn, Protocol, get_args

from assistant.contracts.errors import NanobotError, NotFound, ToolFailed
from assistant.contracts.messages import UserMessage
from assistant.contracts.provenance import Provenance
from assistant.contracts.records import record

if TYPE_CHECKING:
    from assistant.contracts.tools import ToolContext
    from assistant.contracts.turns import TurnRequest

MemoryKind = Literal["fact", "preference", "person", "event", "instruction"]
MEMORY_KINDS: Final[tuple[MemoryKind, ...]] = get_args(MemoryKind)
MOST_CHARS: Final = 1_000
"""Of a statement."""
FORGOTTEN: Final = "[forgotten]"
"""What replaces the words that a person wants forgotten everywhere."""


@record
class MemorySource:
    """The message that a memory came from."""

    session: str
    message: str
    """`msg_…`"""
    seq: int


@record
class Statement:
    """Something to be remembered."""

    text: str
    kind: MemoryKind = "fact"
    about: str = ""
    """What single thing it says: "home address". A later statement about the same thing supersedes it. Empty: by the words, where they show it."""
    provenance: Provenance = "person"
    source: MemorySource | None = None
    valid_until: datetime | None = None
    learned: bool = False
    """Found in what was said, without being asked for."""


@record
class Memory(Statement):
    """A statement that is kept."""

    id: str
    """`mem_…`"""
    owner: str
    number: int
    """By which its owner can name it: 1, 2, …"""
    seen_at: datetime
    superseded_by: str | None = None
    """The memory that replaced it; it stays as history."""

    @property
    def last_day(self) -> date | None:
        """The last day on which it holds, by UTC; None: it has no end."""
        return self.valid_until and (self.valid_until - timedelta(microseconds=1)).date()


class MemoryNotFound(NotFound, code="memory_not_found"):
    """There is no such memory."""


class ForgottenOnce(NanobotError, status=409, type="conflict_error", code="memory_forgotten"):
    """This was forgotten at the person's wish. Only their own explicit "remember that …" brings it back."""


class MemoryTools(Protocol):
    """What the model's tools do with memories, for the person of the turn. Each raises StoreUnavailable, and ToolFailed with words for the model."""

    async def remember(self, ctx: "ToolContext", statement: Statement) -> Memory:
        """Keep a statement. Raises ToolFailed where it is not in the person's own words: they must confirm it first."""
        ...

    async def recall(self, ctx: "ToolContext", query: str, limit: int) -> Sequence[Memory]:
        """What is known about the query, the best first; an empty query: the newest."""
        ...

    async def forget(self, ctx: "ToolContext", what: str, *, everywhere: bool) -> Sequence[Memory]:
        """Forget the one memory that is meant, by its id, its number or its words, with its older versions. `everywhere`: also in what was said.
        Raises ToolFailed where none or several are meant, or where a person's own words did not ask for it."""
        ...


class TurnMemory(Protocol):
    """What turns need of memory. Costs nothing for an owner without memories."""

    async def before(self, request: "TurnRequest", message: UserMessage | None) -> tuple[str, UserMessage | None]:
        """(The profile that the session's prompts begin with, the message with what is recalled behind it.) `message` None: there is none, or
        it is stored already. Never fails: a store that is unavailable recalls nothing."""
        ...

    def after(self, request: "TurnRequest") -> None:
        """A turn ended. Never blocks, never raises."""
        ...


class NoMemory:
    """Implements TurnMemory and MemoryTools where nothing is remembered."""

    async def before(self, request: "TurnRequest", message: UserMessage | None) -> tuple[str, UserMessage | None]:
        return "", message

    def after(self, request: "TurnRequest") -> None:
        pass

    async def remember(self, ctx: "ToolContext", statement: Statement) -> NoReturn:
        raise ToolFailed("There is no memory here.")

    async def recall(self, ctx: "ToolContext", query: str, limit: int) -> Sequence[Memory]:
        return ()

    async def forget(self, ctx: "ToolContext", what: str, *, everywhere: bool) -> NoReturn:
        raise ToolFailed("There is no memory here.")
