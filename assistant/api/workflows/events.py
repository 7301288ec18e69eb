"""What the events of a job hold, for their description: `workflows.wire.frame` and the end of `workflows.stream` write them."""

from typing import Any, Literal

from pydantic import BaseModel, Field

from assistant.contracts.workflows import JobState, NodeState


class JobUpdated(BaseModel):
    """The job is in another state."""

    type: Literal["job_update"]
    status: JobState
    job_id: str
    workflow_id: str
    message: str
    result: dict[str, Any] | None = Field(description="The outputs; null until it is completed.")
    error: str | None
    traceback: None


class NodeResult(BaseModel):
    output: Any


class NodeUpdated(BaseModel):
    """A node was begun, or has ended."""

    type: Literal["node_update"]
    node_id: str = Field(description="Its path: within a called workflow behind that node's.")
    node_name: str
    status: NodeState
    error: str | None
    logs: None
    result: NodeResult | None
    properties: None
    job_id: str
    workflow_id: str


class OutputUpdated(BaseModel):
    """An output of the workflow is known."""

    type: Literal["output_update"]
    node_id: str
    node_name: str
    output_name: str
    value: Any
    output_type: Literal["str", "any"]
    metadata: dict[str, Any]
    job_id: str
    workflow_id: str


class JobComplete(BaseModel):
    """The last event of a job that was completed; then comes `[DONE]`."""

    type: Literal["complete"]
    job_id: str
    results: dict[str, Any]


EVENTS = (JobUpdated, NodeUpdated, OutputUpdated, JobComplete)
