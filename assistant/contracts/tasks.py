"""Background tasks: work that a turn hands to a helper, or to a command that goes on; stored before it is promised.

waiting ──▶ running ──▶ done | failed | stopped      and its end is handed to the session that asked, once
"""

from collections.abc import Callable, Coroutine, Sequence
from datetime import datetime
from typing import Any, Final, Literal, Protocol

from assistant.contracts.addresses import Address
from assistant.contracts.effects import Effect
from assistant.contracts.errors import NanobotError, NotFound, ToolFailed
from assistant.contracts.messages import Usage
from assistant.contracts.provenance import Provenance
from assistant.contracts.records import record

TASK_SESSION: Final = "task:"
"""Prefix of the key of a helper's own session; its task's id follows."""
DEEPEST: Final = 2
"""A helper may delegate; its helper may not."""
TaskKind = Literal["turn", "run"]
"""A helper's turn, or a command in the sandbox."""
TaskState = Literal["waiting", "running", "done", "failed", "stopped"]
ENDED_TASK: Final[frozenset[TaskState]] = frozenset({"done", "failed", "stopped"})
Handover = Literal["", "handed", "read", "kept", "dismissed"]
"""Where its result is. "": not handed over yet. "handed": it is the next turn of the session that asked. "read": the turn that asked waited for it.
"kept": that session is gone."""


class TaskNotFound(NotFound, code="task_not_found"):
    """There is no such task. `nanobot tasks list` shows those there are."""


class TaskConflict(NanobotError, status=409, type="conflict_error", code="task_conflict"):
    """The task is not in a state for that."""


@record
class NewTask:
    """A task as it is accepted. What a helper may do is what the turn that asked may do, or less."""

    id: str
    """Derived from the turn and the place of the call, so that a repeated step delegates once."""
    owner: str
    text: str
    """What is to be done: the words of the model that asked. Of a run: the command."""
    session: str
    """The session that asked, and gets the result."""
    turn_id: str
    agent: str
    """Who does it."""
    kind: TaskKind = "turn"
    within: tuple[str, ...] = ()
    """The agents that asked, the nearest last: the helper has no tool that one of them lacks, and their permissions hold, too."""
    only_tools: tuple[str, ...] | None = None
    """As in `TurnRequest`: of the turn that asked, and what it chose; None: all that `within` allows."""
    parent_tools: tuple[str, ...] | None = None
    """The `only_tools` of the turn that asked: they hold for the turn that its result begins, too."""
    inherits: tuple[Provenance, ...] = ()
    """What had been read where it was asked."""
    address: Address | None = None
    caller: str = ""
    asker: str = ""
    background: bool = False
    """No one waits: its end makes the session that asked go on."""
    depth: int = 1


@record
class TaskOutcome:
    """What came of a task."""

    answer: str = ""
    error: str = ""
    """Why it failed, in a sentence."""
    effects: tuple[Effect, ...] = ()


@record
class Task:
    """A task and its state."""

    new: NewTask
    state: TaskState
    handover: Handover
    created: datetime
    started: datetime | None
    ended: datetime | None
    outcome: TaskOutcome
    background: bool
    usage: Usage
    """Of all model calls in its session."""

    @property
    def id(self) -> str:
        return self.new.id

    @property
    def session(self) -> str:
        """The helper's own."""
        return TASK_SESSION + self.new.id


class Delegation(Protocol):
    """What the tool `delegate` needs. All methods raise StoreUnavailable."""

    @property
    def agents(self) -> Sequence[str]:
        """The ids of those that a task may be given to."""
        ...

    async def delegate(self, new: NewTask) -> Task:
        """Accept a task: it is stored when this returns, once for its id. Raises TaskConflict where too many wait."""
        ...

    async def get(self, owner: str | None, task_id: str) -> Task:
        """Raises TaskNotFound."""
        ...

    async def wait(self, owner: str, task_id: str) -> Task:
        """Its end. Cancelling the wait does not affect the task. Raises TaskNotFound."""
        ...

    async def leave(self, owner: str, task_id: str) -> Task:
        """Wait no longer: from now on it is a background task, unless it has ended. Raises TaskNotFound."""
        ...

    async def stop(self, owner: str | None, task_id: str) -> Task:
        """Stop it, whichever process does it; what it did stays. Raises TaskNotFound, TaskConflict for one that ended."""
        ...


class BackgroundRuns(Protocol):
    """What a tool needs that lets a command go on behind its turn."""

    async def begin(self, new: NewTask, work: Callable[[], Coroutine[Any, Any, TaskOutcome]]) -> None:
        """Store a run, `kind` "run", then do `work` in this process, and hand over what it comes to; an `error` in it: it failed. Where the run is
        stopped, or this process ends, it is cancelled. Raises TaskConflict where too many run, ToolFailed where none can, and StoreUnavailable."""
        ...


class NoTasks:
    """No helpers: a tool that asks for one is refused."""

    agents: Sequence[str] = ()

    async def delegate(self, new: NewTask) -> Task:
        raise ToolFailed("There are no helpers here. Do it yourself.")

    async def get(self, owner: str | None, task_id: str) -> Task:
        raise TaskNotFound

    async def wait(self, owner: str, task_id: str) -> Task:
        raise TaskNotFound

    async def leave(self, owner: str, task_id: str) -> Task:
        raise TaskNotFound

    async def stop(self, owner: str | None, task_id: str) -> Task:
        raise TaskNotFound

    async def begin(self, new: NewTask, work: Callable[[], Coroutine[Any, Any, TaskOutcome]]) -> None:
        raise ToolFailed("Commands can't go on in the background here.")
