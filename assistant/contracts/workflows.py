"""Workflows and jobs: a graph of nodes written in a file, and a durable run of it.

queued ──claim──▶ running ──▶ completed     every node has its output
   │                 │
   │                 ├──▶ failed            a node failed, or the job timed out
   └──── cancel ─────┴──▶ cancelled

A job runs whether or not a client listens. When its process dies, another process resumes it at the node that was running. A node's path in a
job is its id after the ids of the `workflow` nodes that contain it ("brief/weather").
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Final, Literal, Protocol, get_args

from assistant.contracts.errors import InvalidRequest, NanobotError, NotFound
from assistant.contracts.messages import Json
from assistant.contracts.records import record
from assistant.contracts.turns import Upload

InputType = Literal["text", "number", "integer", "boolean", "json", "file"]
NodeKind = Literal["prompt", "tool", "message", "template", "workflow"]
JobState = Literal["queued", "running", "completed", "failed", "cancelled"]
NodeState = Literal["running", "completed", "failed", "cancelled"]
INPUT_TYPES: Final = get_args(InputType)
NODE_KINDS: Final = get_args(NodeKind)
ENDED: Final = frozenset({"completed", "failed", "cancelled"})
JOB_SESSION: Final = "job:"
"""Prefix of the session keys of `prompt` nodes. Nothing in these sessions counts as the user's own words: see `access.recipients`."""


class WorkflowNotFound(NotFound, code="workflow_not_found"):
    """There is no such workflow."""


class InvalidWorkflow(InvalidRequest, code="invalid_workflow"):
    """The workflow's file has problems."""


class JobNotFound(NotFound, code="job_not_found"):
    """There is no such job."""


class JobConflict(NanobotError, status=409, type="conflict_error", code="job_conflict"):
    """The job's state does not allow this."""


class JobFailed(NanobotError, status=422, type="workflow_error", code="job_failed"):
    """The workflow's job failed."""

    # Not 5xx: official clients retry those, and the nodes before the failure have had their effects.


class JobCancelled(NanobotError, status=409, type="conflict_error", code="job_cancelled"):
    """The workflow's job was cancelled."""


@record
class InputSpec:
    """An input of a workflow."""

    name: str
    type: InputType = "text"
    description: str = ""
    required: bool = True
    """False with a default or with `required: false`; without a value it is then empty."""
    default: Json = None


@record
class NodeSpec:
    """A node, as listed."""

    id: str
    kind: NodeKind
    needs: tuple[str, ...]
    """The nodes that it waits for, including those that it refers to."""


@record
class WorkflowInfo:
    """A workflow, as listed."""

    id: str
    name: str
    description: str
    inputs: tuple[InputSpec, ...]
    nodes: tuple[NodeSpec, ...]
    """Each after those that it needs."""
    outputs: tuple[str, ...]
    problems: tuple[str, ...] = ()
    """The problems of its file, each with file and line. A workflow with problems can't be run, and only its `id` is known."""


@record
class NewJob:
    """A job to be accepted. It is complete: later edits of the files do not change it."""

    id: str
    """`job_…`"""
    owner: str
    workflow: str
    sources: Mapping[str, str]
    """The texts of the workflow's file and of those that it calls, by id."""
    inputs: Mapping[str, Json]
    caller: str = ""
    """The credential that started it, where that is not `owner`: its limits hold."""


@record
class NodeRun:
    """A started node and its outcome."""

    path: str
    state: NodeState
    starts: int
    """How often it was started: more than once if a process died while it ran."""
    output: Json = None
    error: str | None = None
    """Why it failed."""
    started: datetime
    ended: datetime | None = None


@record
class Job:
    """A job and its outcome."""

    id: str
    owner: str
    workflow: str
    state: JobState
    created: datetime
    ended: datetime | None
    error: str | None
    """Why it failed."""
    results: Mapping[str, Json] | None
    """The workflow's outputs; None until it is completed."""
    nodes: tuple[NodeRun, ...]
    """The started nodes, in the order of their start; empty in a list of jobs."""


@record
class HeldJob:
    """A job that this process took over."""

    new: NewJob
    created: datetime
    nodes: Mapping[str, NodeRun]
    """Its earlier node runs, by path."""


@record
class JobUpdate:
    """The job's state changed."""

    job: Job
    kind: Literal["job"] = "job"


@record
class NodeUpdate:
    """A node's state changed."""

    job: Job
    node: NodeRun
    kind: Literal["node"] = "node"


@record
class OutputUpdate:
    """An output of the workflow is known."""

    job: Job
    name: str
    value: Json
    kind: Literal["output"] = "output"


Update = JobUpdate | NodeUpdate | OutputUpdate


class Workflows(Protocol):
    """Lists workflows and runs jobs, for HTTP, the WebSocket and the command line. All methods raise StoreUnavailable."""

    async def index(self) -> Sequence[WorkflowInfo]:
        """By id, workflows with problems included."""
        ...

    async def show(self, workflow_id: str) -> WorkflowInfo:
        """Raises WorkflowNotFound ("Workflow <id> not found"), InvalidWorkflow."""
        ...

    async def start(
        self, owner: str, workflow_id: str, params: Mapping[str, Json], files: Mapping[str, Upload], caller: str = "", *, job_id: str = ""
    ) -> Job:
        """Accept a job, which is stored when this returns. `files`: by their input's name; they stay the caller's. `job_id`: of the caller's
        choice, so that what is started again after a crash is started once.
        `caller`: the credential that asks, whose limits hold for it, where it is not
        `owner`.

        Raises WorkflowNotFound, InvalidWorkflow, InvalidRequest (`param`: an input that is missing, unknown or of another type),
        UnreadableFile and its subclasses, ShuttingDown, ServerOverloaded.
        """
        ...

    def updates(self, owner: str, job_id: str) -> AsyncIterator[Sequence[Update]]:
        """The updates so far, then new ones as they happen, in batches, until the job ends; in any process, and as often as wanted.

        The last update is a JobUpdate with an ended state, right after all OutputUpdates. Closing the iterator does not affect the job. Raises
        JobNotFound (at the first step).
        """
        ...

    async def result(self, owner: str, job_id: str) -> Mapping[str, Json]:
        """Wait for the job's outputs. Cancelling the wait does not affect the job. Raises JobNotFound, JobFailed, JobCancelled."""
        ...

    async def get(self, owner: str, job_id: str) -> Job:
        """Raises JobNotFound."""
        ...

    async def list(self, owner: str, *, limit: int = 50, before: str | None = None) -> Sequence[Job]: ...

    async def cancel(self, owner: str, job_id: str) -> Job:
        """Stop the job, whichever process runs it; effects of its nodes remain. Raises JobNotFound, JobConflict."""
        ...
