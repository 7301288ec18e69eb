"""Workflows and jobs: a small graph that a person wrote, and one durable run of it.

queued ──claim──▶ running ──▶ completed     every node has its output
   │                 │
   │                 ├──▶ failed            a node could not do its work, or the job's time was up
   └──── cancel ─────┴──▶ cancelled

A job goes on whoever still listens, and, after its process died, at the node that was cut off. A node's place in a job is its path: its id,
behind the ids of the `workflow` nodes that it is within ("brief/weather").
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, Protocol, get_args

from assistant.contracts.errors import InvalidRequest, NanobotError, NotFound
from assistant.contracts.messages import Json
from assistant.contracts.turns import Upload

InputType = Literal["text", "number", "integer", "boolean", "json", "file"]
NodeKind = Literal["prompt", "tool", "message", "template", "workflow"]
JobState = Literal["queued", "running", "completed", "failed", "cancelled"]
NodeState = Literal["running", "completed", "failed", "cancelled"]
INPUT_TYPES: Final = get_args(InputType)
NODE_KINDS: Final = get_args(NodeKind)
ENDED: Final = frozenset({"completed", "failed", "cancelled"})
JOB_SESSION: Final = "job:"
"""What the keys of the sessions of `prompt` nodes begin with. Nothing in them counts as the user's own words: see `access.recipients`."""


class WorkflowNotFound(NotFound):
    """There is no such workflow."""

    code = "workflow_not_found"


class InvalidWorkflow(InvalidRequest):
    """The workflow's file is not in order."""

    code = "invalid_workflow"


class JobNotFound(NotFound):
    """There is no such job."""

    code = "job_not_found"


class JobConflict(NanobotError):
    """The job is in a state in which that can't be done."""

    status, type, code = 409, "conflict_error", "job_conflict"


class JobFailed(NanobotError):
    """The workflow's job failed."""

    status, type, code = 422, "workflow_error", "job_failed"
    # No 5xx: official clients repeat those by themselves, and the nodes before the failure have done their work.


class JobCancelled(NanobotError):
    """The workflow's job was cancelled."""

    status, type, code = 409, "conflict_error", "job_cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class InputSpec:
    """What a workflow asks for."""

    name: str
    type: InputType = "text"
    description: str = ""
    required: bool = True
    """False where there is a default, or the author said so: without a value it is empty then."""
    default: Json = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSpec:
    """A node, as listed."""

    id: str
    kind: NodeKind
    needs: tuple[str, ...]
    """The nodes that it waits for, those that it refers to included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowInfo:
    """A workflow, as listed."""

    id: str
    name: str
    description: str
    inputs: tuple[InputSpec, ...]
    nodes: tuple[NodeSpec, ...]
    """In an order in which each stands behind those that it needs."""
    outputs: tuple[str, ...]
    problems: tuple[str, ...] = ()
    """What is wrong with its file, each with file and line. Such a workflow can't be run; of the rest only `id` is known then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """A job about to be accepted. Everything that it will need is in it: a file that is edited later changes nothing."""

    id: str
    """`job_…`"""
    owner: str
    workflow: str
    sources: Mapping[str, str]
    """The text of the workflow's file, and of those that it calls, by id."""
    inputs: Mapping[str, Json]


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRun:
    """A node that was begun, and what became of it."""

    path: str
    state: NodeState
    starts: int
    """How often it was begun: more than once where a process died on it."""
    output: Json = None
    error: str | None = None
    """Why it failed, in words."""
    started: datetime
    ended: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job and what became of it."""

    id: str
    owner: str
    workflow: str
    state: JobState
    created: datetime
    ended: datetime | None
    error: str | None
    """Why it failed, in words."""
    results: Mapping[str, Json] | None
    """The workflow's outputs; None until it is completed."""
    nodes: tuple[NodeRun, ...]
    """Those that were begun, in that order; in a list of jobs: none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldJob:
    """A job that this process is to run."""

    new: NewJob
    created: datetime
    nodes: Mapping[str, NodeRun]
    """What was done of it before, by path."""


class JobStore(Protocol):
    """Jobs as kept. Every write is durable when the call returns, each is one transaction; a call that the store can't do raises
    StoreUnavailable. Writes of a job that this process does not hold (any more) return False, with nothing written.
    """

    async def add(self, job: NewJob) -> Job:
        """Accept it, "queued" and held by this process."""
        ...

    async def begin(self, job_id: str) -> bool:
        """It runs."""
        ...

    async def take_over(self) -> Sequence[HeldJob]:
        """Hold the jobs that a dead process, or one that let go of them, left unended. Called at start and every few seconds."""
        ...

    async def release(self, job_id: str) -> None:
        """Let go of a job, as it is: this process ends."""
        ...

    async def start_node(self, job_id: str, path: str, turn_id: str) -> bool:
        """It is about to be begun. A turn of this id that is cut off is not settled as long as the node runs: it is gone on with."""
        ...

    async def end_node(self, job_id: str, path: str, state: NodeState, output: Json = None, error: str | None = None) -> bool: ...

    async def end(self, job_id: str, state: JobState, *, results: Mapping[str, Json] | None = None, error: str | None = None) -> bool:
        """Settle it; nodes that are noted as running get its state."""
        ...

    async def ask_to_cancel(self, owner: str | None, job_id: str) -> Job:
        """Whoever holds it is to cancel it; one that nobody holds is cancelled at once. Raises JobNotFound; JobConflict for one that has
        ended otherwise."""
        ...

    async def to_cancel(self) -> Sequence[str]:
        """The jobs of this process that are to be cancelled."""
        ...

    async def get(self, owner: str | None, job_id: str) -> Job | None:
        """`owner` None: anybody's (the command line)."""
        ...

    async def list(self, owner: str | None, *, limit: int = 50, before: str | None = None) -> Sequence[Job]:
        """The latest first; `before`: the id of the last one of the page before."""
        ...

    async def purge(self, before: datetime) -> int:
        """Remove what ended before this time, with the sessions of its nodes. Returns how many jobs went."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class JobUpdate:
    """The job's state has changed."""

    job: Job
    kind: Literal["job"] = "job"


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeUpdate:
    """A node's state has changed."""

    job: Job
    node: NodeRun
    kind: Literal["node"] = "node"


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputUpdate:
    """One of the workflow's outputs is there."""

    job: Job
    name: str
    value: Json
    kind: Literal["output"] = "output"


Update = JobUpdate | NodeUpdate | OutputUpdate


class Workflows(Protocol):
    """Workflows, for whoever runs them: HTTP, the WebSocket, the command line. All of it raises StoreUnavailable."""

    async def index(self) -> Sequence[WorkflowInfo]:
        """By id; those whose file is not in order too, with what is wrong."""
        ...

    async def show(self, workflow_id: str) -> WorkflowInfo:
        """Raises WorkflowNotFound ("Workflow <id> not found"), InvalidWorkflow."""
        ...

    async def start(self, owner: str, workflow_id: str, params: Mapping[str, Json], files: Mapping[str, Upload]) -> Job:
        """Accept a job; it is kept when this returns. `files`: by the name of their input; they stay the caller's.

        Raises WorkflowNotFound, InvalidWorkflow, InvalidRequest (an input that is missing, unknown or of another type: `param` is its name),
        UnreadableFile and its kin, ShuttingDown, ServerOverloaded.
        """
        ...

    def updates(self, owner: str, job_id: str) -> AsyncIterator[Sequence[Update]]:
        """What was so far, then what happens, in batches, to the job's end; from anywhere, also after a restart, and as often as one likes.

        The last update is a JobUpdate with a state that has ended, and all OutputUpdates stand right before it. Leaving early leaves the job
        alone. Raises JobNotFound (at the first step).
        """
        ...

    async def result(self, owner: str, job_id: str) -> Mapping[str, Json]:
        """Wait for the job's end: its outputs. Raises JobNotFound, JobFailed, JobCancelled. Cancelling the wait leaves the job alone."""
        ...

    async def get(self, owner: str, job_id: str) -> Job:
        """Raises JobNotFound."""
        ...

    async def list(self, owner: str, *, limit: int = 50, before: str | None = None) -> Sequence[Job]: ...

    async def cancel(self, owner: str, job_id: str) -> Job:
        """Stop it where it is, whichever process runs it; what a node has done stays done. Raises JobNotFound, JobConflict."""
        ...
