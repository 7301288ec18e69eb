"""What the endpoints answer: a response, its output, and the events of its stream."""

from typing import Any, Final, Literal, Required, get_args

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer
from typing_extensions import TypedDict

from assistant.api.answers import Answer, ErrorDetail, ListAnswer, OwnAnswer, always_there

Status = Literal["in_progress", "completed", "incomplete", "failed"]


class _Sparse(Answer):
    """Fields that are null are left out."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=False)  # pydantic applies it to a TypedDict's absent fields, too

    @model_serializer(mode="wrap")
    def _without_nulls(self, handler: SerializerFunctionWrapHandler):
        return {name: value for name, value in handler(self).items() if value is not None}


class OutputTextPart(Answer):
    type: Literal["output_text"] = "output_text"
    text: str
    annotations: list[Any] = Field(default=[])
    logprobs: list[dict[str, Any]] = Field(default=[])


class OutputMessage(Answer):
    id: str
    type: Literal["message"] = "message"
    status: Literal["in_progress", "completed", "incomplete"]
    role: Literal["assistant"] = "assistant"
    content: list[OutputTextPart]


class SummaryPart(Answer):
    type: Literal["summary_text"] = "summary_text"
    text: str


class OutputReasoning(_Sparse):
    """The model's thoughts, as far as it tells them. `encrypted_content`: what its provider wants back with the step; send the item back to go on."""

    id: str
    type: Literal["reasoning"] = "reasoning"
    summary: list[SummaryPart]
    encrypted_content: str | None = None


class OutputCall(Answer):
    """A call of a function of the client's, to be answered by a function_call_output."""

    id: str
    type: Literal["function_call"] = "function_call"
    status: Literal["in_progress", "completed"] = "completed"
    call_id: str
    name: str
    arguments: str


class ResponseFailure(Answer):
    code: Literal["server_error", "rate_limit_exceeded", "invalid_prompt"]
    message: str


class Incomplete(Answer):
    reason: Literal["max_output_tokens", "content_filter"]


class InputDetails(Answer):
    """`cache_write_tokens` is always 0: what providers write into their caches is not counted apart."""

    cached_tokens: int
    cache_write_tokens: Literal[0] = 0


class OutputDetails(Answer):
    """`reasoning_tokens`: 0 too where the provider does not say."""

    reasoning_tokens: int


class ResponseUsage(Answer):
    input_tokens: int
    input_tokens_details: InputDetails
    output_tokens: int
    output_tokens_details: OutputDetails
    total_tokens: int


class ShownTool(Answer):
    type: Literal["function"] = "function"
    name: str
    description: str | None
    parameters: dict[str, Any] | None
    strict: bool | None


class ShownFormat(TypedDict, total=False):
    type: Required[Literal["text", "json_object", "json_schema"]]
    name: str | None
    schema: dict[str, Any] | None
    description: str | None
    strict: bool | None


class ShownText(_Sparse):
    format: ShownFormat
    verbosity: str | None = None


class ShownReasoning(Answer):
    effort: str | None
    summary: str | None


class ShownChoice(Answer):
    type: Literal["function"] = "function"
    name: str


class ShownAllowed(Answer):
    type: Literal["allowed_tools"] = "allowed_tools"
    mode: Literal["auto", "required"]
    tools: list[ShownChoice]


OutputItem = OutputMessage | OutputReasoning | OutputCall


def _may_be_absent(schema: dict[str, Any]) -> None:
    always_there(schema)
    schema["required"].remove("nanobot")


class ResponseObject(Answer):
    """A response, and the request's options; where it set none, OpenAI's defaults. `error` and `usage` belong to its end.
    `notices`: what of the request was left out."""

    model_config = ConfigDict(json_schema_extra=_may_be_absent)

    id: str
    object: Literal["response"] = "response"
    created_at: int
    completed_at: int | None = None
    status: Status
    error: ResponseFailure | None = None
    incomplete_details: Incomplete | None = None
    model: str
    output: list[OutputItem] = Field(default=[])
    usage: ResponseUsage | None = None
    instructions: str | None
    previous_response_id: str | None
    store: bool
    tools: list[ShownTool]
    tool_choice: Literal["none", "auto", "required"] | ShownChoice | ShownAllowed
    parallel_tool_calls: bool
    temperature: float
    top_p: float
    presence_penalty: float
    frequency_penalty: float
    top_logprobs: int
    max_output_tokens: int | None
    max_tool_calls: int | None
    text: ShownText
    reasoning: ShownReasoning
    truncation: Literal["auto", "disabled"]
    background: Literal[False] = False
    service_tier: str
    user: str | None
    safety_identifier: str | None
    prompt_cache_key: str | None
    prompt_cache_retention: str | None
    metadata: dict[str, str]
    notices: list[str]
    nanobot: OwnAnswer | None = None

    @model_serializer(mode="wrap")
    def _without_effects(self, handler: SerializerFunctionWrapHandler):
        return {name: value for name, value in handler(self).items() if value is not None or name != "nanobot"}


class _Event(Answer):
    """The data of one event of a stream."""

    sequence_number: int


class ResponseStateEvent(_Event):
    """The first two, and the last."""

    type: Literal["response.created", "response.in_progress", "response.completed", "response.incomplete", "response.failed"]
    response: ResponseObject


class OutputItemEvent(_Event):
    type: Literal["response.output_item.added", "response.output_item.done"]
    output_index: int
    item: OutputItem


class _PlacedEvent(_Event):
    item_id: str
    output_index: int


class _ContentEvent(_PlacedEvent):
    content_index: int


class ContentPartEvent(_ContentEvent):
    type: Literal["response.content_part.added", "response.content_part.done"]
    part: OutputTextPart


class OutputTextDeltaEvent(_ContentEvent):
    type: Literal["response.output_text.delta"] = "response.output_text.delta"
    delta: str
    logprobs: list[Any] = Field(default=[])


class OutputTextDoneEvent(_ContentEvent):
    type: Literal["response.output_text.done"] = "response.output_text.done"
    text: str
    logprobs: list[Any]


class _SummaryEvent(_PlacedEvent):
    summary_index: int


class SummaryPartEvent(_SummaryEvent):
    type: Literal["response.reasoning_summary_part.added", "response.reasoning_summary_part.done"]
    part: SummaryPart


class SummaryDeltaEvent(_SummaryEvent):
    type: Literal["response.reasoning_summary_text.delta"] = "response.reasoning_summary_text.delta"
    delta: str


class SummaryDoneEvent(_SummaryEvent):
    type: Literal["response.reasoning_summary_text.done"] = "response.reasoning_summary_text.done"
    text: str


class ArgumentsDeltaEvent(_PlacedEvent):
    type: Literal["response.function_call_arguments.delta"] = "response.function_call_arguments.delta"
    delta: str


class ArgumentsDoneEvent(_PlacedEvent):
    type: Literal["response.function_call_arguments.done"] = "response.function_call_arguments.done"
    arguments: str
    name: str


class FailureEvent(_Event):
    """Behind response.failed: what the official clients raise."""

    type: Literal["error"] = "error"
    code: str | None
    message: str
    param: str | None
    error: ErrorDetail


AnyEvent = (
    ResponseStateEvent
    | OutputItemEvent
    | ContentPartEvent
    | OutputTextDeltaEvent
    | OutputTextDoneEvent
    | SummaryPartEvent
    | SummaryDeltaEvent
    | SummaryDoneEvent
    | ArgumentsDeltaEvent
    | ArgumentsDoneEvent
    | FailureEvent
)
RESPONSE_EVENTS: Final[tuple[type[BaseModel], ...]] = get_args(AnyEvent)


class InputItemList(ListAnswer[dict[str, Any]]):
    """The request's input: messages, thoughts, calls and outputs, each with an id; files by theirs."""

    first_id: str | None
    last_id: str | None


class ResponseDeleted(Answer):
    id: str
    object: Literal["response"] = "response"
    deleted: Literal[True] = True
