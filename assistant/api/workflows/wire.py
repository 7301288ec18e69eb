"""Workflows and jobs as JSON, and a job's events as a stream."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any, Literal

import orjson
from pydantic import BaseModel, Field
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from assistant.api.answers import Answer, ListAnswer, Time
from assistant.api.middleware.request import state_of
from assistant.api.sse import DONE, EventStream, error_event, event, unless_gone
from assistant.contracts import workflows
from assistant.contracts.errors import NanobotError, ShuttingDown
from assistant.contracts.messages import Json


class WorkflowInput(Answer):
    name: str
    type: workflows.InputType
    description: str
    required: bool
    default: Any = Field(description="What it is where nothing is given; null: empty.")


class WorkflowNode(Answer):
    id: str
    kind: workflows.NodeKind
    needs: list[str] = Field(description="The nodes that it waits for.")


class WorkflowAnswer(Answer):
    """A workflow. With `problems` it can't be run, and nothing else of it is known."""

    id: str
    object: Literal["workflow"] = "workflow"
    name: str
    description: str
    inputs: list[WorkflowInput]
    nodes: list[WorkflowNode]
    outputs: list[str]
    problems: list[str] = Field(description="What is wrong with its file, with file and line.")


class WorkflowList(BaseModel):
    workflows: list[WorkflowAnswer]
    next: None = None
    """There is one page."""


class RunAnswer(Answer):
    results: dict[str, Any] = Field(description="The workflow's outputs, by name.")


class JobNode(Answer):
    node_id: str = Field(validation_alias="path", description="Its id; within a called workflow behind that node's: brief/weather.")
    status: workflows.NodeState = Field(validation_alias="state")
    starts: int = Field(description="How often it was started: more than once where the server stopped in it.")
    output: Any
    error: str | None
    started_at: Time = Field(validation_alias="started")
    completed_at: Time | None = Field(validation_alias="ended")


class JobAnswer(Answer):
    """A run of a workflow. Times are UTC, by ISO 8601."""

    id: str
    object: Literal["job"] = "job"
    status: workflows.JobState = Field(validation_alias="state")
    workflow_id: str = Field(validation_alias="workflow")
    created_at: Time = Field(validation_alias="created")
    ended_at: Time | None = Field(validation_alias="ended")
    error: str | None = Field(description="Why it failed.")
    results: dict[str, Any] | None = Field(description="The outputs; null until it is completed.")
    nodes: list[JobNode] = Field(description="Those that were started; empty in a list of jobs.")


class JobList(ListAnswer[JobAnswer]):
    pass


class _JobEvent(Answer):
    job_id: str
    workflow_id: str


class JobUpdated(_JobEvent):
    """The job is in another state."""

    type: Literal["job_update"] = "job_update"
    status: workflows.JobState
    message: str
    result: dict[str, Any] | None = Field(description="The outputs; null until it is completed.")
    error: str | None
    traceback: None = None


class NodeResult(Answer):
    output: Any


class NodeUpdated(_JobEvent):
    """A node has started or ended."""

    type: Literal["node_update"] = "node_update"
    node_id: str = Field(description="Its path: within a called workflow behind that node's.")
    node_name: str
    status: workflows.NodeState
    error: str | None
    logs: None = None
    result: NodeResult | None
    properties: None = None


class OutputUpdated(_JobEvent):
    """An output of the workflow is known."""

    type: Literal["output_update"] = "output_update"
    node_id: str
    node_name: str
    output_name: str
    value: Any
    output_type: Literal["str", "any"]
    metadata: dict[str, Any] = Field(default={})


class JobComplete(Answer):
    """The last event of a job that was completed; then comes `[DONE]`."""

    type: Literal["complete"] = "complete"
    job_id: str
    results: dict[str, Any]


EVENTS = (JobUpdated, NodeUpdated, OutputUpdated, JobComplete)


def frame(update: workflows.Update) -> dict[str, Json]:
    """An update as NodeTool's clients read it: `job_update`, `node_update`, `output_update`."""
    return _event(update).model_dump()


def _event(update: workflows.Update) -> _JobEvent:
    job = update.job
    ids: dict[str, Any] = {"job_id": job.id, "workflow_id": job.workflow}
    match update:
        case workflows.JobUpdate():
            results = None if job.results is None else dict(job.results)
            return JobUpdated(**ids, status=job.state, message=f"Job {job.state}", result=results, error=job.error)
        case workflows.NodeUpdate(node=node):
            name, result = node.path.rpartition("/")[2], NodeResult(output=node.output) if node.state == "completed" else None
            return NodeUpdated(**ids, node_id=node.path, node_name=name, status=node.state, error=node.error, result=result)
        case workflows.OutputUpdate(name=name, value=value):
            kind = "str" if isinstance(value, str) else "any"
            return OutputUpdated(**ids, node_id=name, node_name=name, output_name=name, value=value, output_type=kind)


class JobStream(Response):
    """The updates of a job. A client that disconnects leaves the job alone. A job that fails or is cancelled ends the stream with an `error`
    event and without [DONE]."""

    media_type = "text/event-stream"

    def __init__(self, job: workflows.Job, updates: AsyncIterator[Sequence[workflows.Update]], *, keep_alive: float) -> None:
        super().__init__()
        self.job = job
        self.updates = updates
        self.keep_alive = keep_alive

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"x-nanobot-job-id", self.job.id.encode())]
        with EventStream(send, keep_alive=self.keep_alive, headers=headers) as stream:
            await stream.write(b"")
            try:
                await unless_gone(self._pass_on(stream), receive)
            except ClientDisconnect:
                return
            except NanobotError as error:
                await stream.write(error_event(error), last=True)
            except asyncio.CancelledError:  # on shutdown, or because the key has ended
                ending = ShuttingDown(f"The server is shutting down; the job {self.job.id} goes on after its next start.")
                await stream.write(error_event(state_of(scope).cut_off or ending), last=True)

    async def _pass_on(self, stream: EventStream) -> None:
        async for batch in self.updates:
            end = batch[-1]
            over = isinstance(end, workflows.JobUpdate) and end.job.state in workflows.ENDED
            data = b"".join([event(orjson.dumps(frame(update))) for update in batch])
            await stream.write(data + (_end(end.job) if over else b""), last=over)
            if over:
                return
        await stream.write(b"", last=True)


def _end(job: workflows.Job) -> bytes:
    match job.state:
        case "completed":
            return event(JobComplete(job_id=job.id, results=dict(job.results or {})).model_dump_json().encode()) + DONE
        case "cancelled":
            return error_event(workflows.JobCancelled())
        case _:
            return error_event(workflows.JobFailed(f"Workflow {job.workflow}, {job.error}"))
