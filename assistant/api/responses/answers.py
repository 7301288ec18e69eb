"""What the endpoints answer, for their description. The answers themselves are written as bytes, or as they were kept."""

from typing import Any, Final, Literal

from pydantic import BaseModel, Field

from assistant.api.answers import ErrorDetail

Status = Literal["in_progress", "completed", "incomplete", "failed"]


class OutputTextPart(BaseModel):
    type: Literal["output_text"]
    text: str
    annotations: list[Any]
    logprobs: list[dict[str, Any]]


class OutputMessage(BaseModel):
    id: str
    type: Literal["message"]
    status: Literal["in_progress", "completed", "incomplete"]
    role: Literal["assistant"]
    content: list[OutputTextPart]


class OutputCall(BaseModel):
    """A call of a function of the client's, to be answered by a function_call_output."""

    id: str
    type: Literal["function_call"]
    status: Literal["in_progress", "completed"]
    call_id: str
    name: str
    arguments: str


class ResponseFailure(BaseModel):
    code: Literal["server_error", "rate_limit_exceeded", "invalid_prompt"]
    message: str


class Incomplete(BaseModel):
    reason: Literal["max_output_tokens", "content_filter"]


class InputDetails(BaseModel):
    """`cache_write_tokens` is always 0: what providers write into their caches is not counted apart."""

    cached_tokens: int
    cache_write_tokens: Literal[0]


class OutputDetails(BaseModel):
    """`reasoning_tokens` is always 0: they are not counted apart from `output_tokens`."""

    reasoning_tokens: Literal[0]


class ResponseUsage(BaseModel):
    input_tokens: int
    input_tokens_details: InputDetails
    output_tokens: int
    output_tokens_details: OutputDetails
    total_tokens: int


class ShownTool(BaseModel):
    type: Literal["function"]
    name: str
    description: str | None
    parameters: dict[str, Any] | None
    strict: bool | None


class ShownFormat(BaseModel):
    type: Literal["text", "json_object", "json_schema"]
    name: str | None = None
    json_schema: dict[str, Any] | None = Field(default=None, alias="schema")
    description: str | None = None
    strict: bool | None = None


class ShownText(BaseModel):
    format: ShownFormat


class ShownReasoning(BaseModel):
    effort: str | None
    summary: None


class ShownChoice(BaseModel):
    type: Literal["function"]
    name: str


class ResponseObject(BaseModel):
    """A response, and what it was asked with. `error` and `usage` belong to how it ended."""

    id: str
    object: Literal["response"]
    created_at: int
    completed_at: int | None
    status: Status
    error: ResponseFailure | None
    incomplete_details: Incomplete | None
    model: str
    output: list[OutputMessage | OutputCall]
    usage: ResponseUsage | None
    instructions: str | None
    previous_response_id: str | None
    store: bool
    tools: list[ShownTool]
    tool_choice: Literal["none", "auto", "required"] | ShownChoice
    parallel_tool_calls: bool
    temperature: float | None
    top_p: float | None
    top_logprobs: int
    max_output_tokens: int | None
    text: ShownText
    reasoning: ShownReasoning
    truncation: Literal["auto", "disabled"]
    background: Literal[False]
    user: str | None
    metadata: dict[str, str]


class _Event(BaseModel):
    """The data of one event of a stream."""

    sequence_number: int


class ResponseStateEvent(_Event):
    """The first two, and the last."""

    type: Literal["response.created", "response.in_progress", "response.completed", "response.incomplete", "response.failed"]
    response: ResponseObject


class OutputItemEvent(_Event):
    type: Literal["response.output_item.added", "response.output_item.done"]
    output_index: int
    item: OutputMessage | OutputCall


class _PlacedEvent(_Event):
    item_id: str
    output_index: int


class ContentPartEvent(_PlacedEvent):
    type: Literal["response.content_part.added", "response.content_part.done"]
    content_index: int
    part: OutputTextPart


class OutputTextDeltaEvent(_PlacedEvent):
    type: Literal["response.output_text.delta"]
    content_index: int
    delta: str
    logprobs: list[Any]


class OutputTextDoneEvent(_PlacedEvent):
    type: Literal["response.output_text.done"]
    content_index: int
    text: str
    logprobs: list[Any]


class ArgumentsDeltaEvent(_PlacedEvent):
    type: Literal["response.function_call_arguments.delta"]
    delta: str


class ArgumentsDoneEvent(_PlacedEvent):
    type: Literal["response.function_call_arguments.done"]
    arguments: str
    name: str


class FailureEvent(_Event):
    """Behind response.failed: what the official clients raise."""

    type: Literal["error"]
    code: str | None
    message: str
    param: str | None
    error: ErrorDetail


RESPONSE_EVENTS: Final[tuple[type[BaseModel], ...]] = (
    ResponseStateEvent,
    OutputItemEvent,
    ContentPartEvent,
    OutputTextDeltaEvent,
    OutputTextDoneEvent,
    ArgumentsDeltaEvent,
    ArgumentsDoneEvent,
    FailureEvent,
)


class InputItemList(BaseModel):
    """What was sent: messages, calls and outputs, each with an id; files by theirs."""

    object: Literal["list"]
    data: list[dict[str, Any]]
    first_id: str | None
    last_id: str | None
    has_more: bool


class ResponseDeleted(BaseModel):
    id: str
    object: Literal["response"]
    deleted: Literal[True]
