"""What all answers have in common, and the answers of chat completions, which are written as bytes."""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, Literal, Self, TypeVar

from fastapi import Query
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from assistant.contracts.effects import EffectKind, PendingApproval
from assistant.contracts.errors import NotFound
from assistant.contracts.messages import FinishReason
from assistant.contracts.turns import ToolFinished, ToolStarted, TurnFinished

T = TypeVar("T")
U = TypeVar("U")


def _written(at: object) -> object:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z") if isinstance(at, datetime) else at


Time = Annotated[str, BeforeValidator(_written)]
"""A datetime, answered in UTC by ISO 8601, to the millisecond: "2026-01-31T08:00:00.000Z"."""
Seconds = Annotated[int, BeforeValidator(lambda at: int(at.timestamp()) if isinstance(at, datetime) else at)]
"""A datetime, answered in seconds since 1970."""
PageLimit = Annotated[int, Query(ge=1, le=200)]
"""How many entries a page has."""
Before = Annotated[str | None, Query(max_length=64)]
"""The id of the last entry of the page before."""


def always_there(schema: dict[str, Any]) -> None:
    """For `json_schema_extra`: no field has a default, since each is in every answer."""
    for field in schema.get("properties", {}).values():
        field.pop("default", None)


class Answer(BaseModel):
    """The JSON of an answer, made from keywords or from the attributes of an object. Fields with a default are always present, too."""

    model_config = ConfigDict(from_attributes=True, json_schema_serialization_defaults_required=True, json_schema_extra=always_there)


class ListAnswer(Answer, Generic[T]):
    object: Literal["list"] = "list"
    data: list[T]
    has_more: bool

    @classmethod
    def page(cls, found: Sequence[U], limit: int, answer: Callable[[U], T], **more: Any) -> Self:
        """The first `limit` of what was found, which is one more where there are more. `more`: further fields."""
        return cls(data=[answer(each) for each in found[:limit]], has_more=len(found) > limit, **more)


def known_id(value: str, prefix: str, missing: type[NotFound], param: str) -> str:
    """The id, if it has the form of one of ours: `prefix`, "_" and 28 hex digits. Raises `missing`."""
    if not re.fullmatch(prefix + "_[0-9a-f]{28}", value):
        raise missing(param=param)
    return value


class ErrorDetail(BaseModel):
    message: str
    type: str
    param: str | None
    code: str | None


class ErrorAnswer(BaseModel):
    error: ErrorDetail


class PromptTokensDetails(BaseModel):
    cached_tokens: int


class CompletionTokensDetails(BaseModel):
    """`reasoning_tokens`: 0 too where the provider does not say."""

    reasoning_tokens: int


class UsageAnswer(BaseModel):
    """Tokens of this request alone, summed over all the model calls that it took."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptTokensDetails
    completion_tokens_details: CompletionTokensDetails


class AnsweredFunction(BaseModel):
    name: str
    arguments: str


class AnsweredCall(BaseModel):
    """Further fields are the provider's (`extra_content`): send them back with the call."""

    model_config = ConfigDict(extra="allow")

    id: str
    type: Literal["function"]
    function: AnsweredFunction


class AnswerMessage(BaseModel):
    """`tool_calls`: of the client's tools; then `content` may be null. `reasoning_content`: the model's thoughts, where it tells them. Further fields
    are the provider's (`reasoning_details`, `audio` …): send them back with the message."""

    model_config = ConfigDict(extra="allow")

    role: Literal["assistant"]
    content: str | None
    refusal: None
    reasoning_content: str | None = None
    tool_calls: list[AnsweredCall] | None = None


class EffectAnswer(Answer):
    """Something that the assistant did, known from its own records. `ref`: the id of what was made or changed."""

    kind: EffectKind
    text: str
    ref: str


class PendingAnswer(Answer):
    """A call that waits for a person's yes: `POST /v1/approvals/{id}`."""

    id: str
    code: str = Field(description="What `/approve` takes in a chat.")
    tool: str
    text: str = Field(description="The whole call, for people.")
    why: str
    expires_at: Time


class OwnAnswer(Answer):
    """What nanobot adds to an answer in OpenAI's form: what was done, in order, and what waits for a person's yes. Absent where there is neither."""

    effects: list[EffectAnswer]
    pending: list[PendingAnswer]


class StepAnswer(BaseModel):
    """A call of a tool: `call` is the same when it begins and when it ends."""

    call: str
    tool: str
    state: Literal["started", "finished", "failed"]
    arguments: str | None = Field(default=None, description="The model's own text, where it began.")
    pending: PendingAnswer | None = Field(default=None, description="It has not run: it waits for a person's yes.")


class StepsAnswer(BaseModel):
    """In a chunk without choices, where the request asked for it (`stream_options.include_steps`)."""

    step: StepAnswer


def step_answer(event: ToolStarted | ToolFinished) -> bytes:
    """`StepsAnswer` as JSON."""
    step = StepAnswer(call=event.call_id, tool=event.name, state="started")
    if isinstance(event, ToolStarted):
        step.arguments = event.arguments
    else:
        step.state = "finished" if event.ok else "failed"
        step.pending = PendingAnswer.model_validate(event.pending) if event.pending else None
    return StepsAnswer(step=step).model_dump_json(exclude_none=True).encode()


def own_answer(end: TurnFinished) -> bytes:
    """`OwnAnswer` as JSON; empty where there is nothing to tell."""
    return OwnAnswer.model_validate(end).model_dump_json().encode() if end.effects or end.pending else b""


def own_of_waiting(pending: PendingApproval) -> bytes:
    """Likewise, of a call that waits."""
    return OwnAnswer(effects=[], pending=[PendingAnswer.model_validate(pending)]).model_dump_json().encode()


class ChatChoice(BaseModel):
    index: int
    message: AnswerMessage
    logprobs: dict[str, Any] | None
    finish_reason: FinishReason


class ChatCompletion(BaseModel):
    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[ChatChoice]
    usage: UsageAnswer
    nanobot: OwnAnswer | None = None


class CallDelta(AnsweredCall):
    index: int


class Delta(BaseModel):
    model_config = ConfigDict(extra="allow")

    role: Literal["assistant"] | None = None
    content: str | None = None
    refusal: None = None
    reasoning_content: str | None = None
    tool_calls: list[CallDelta] | None = None


class ChunkChoice(BaseModel):
    index: int
    delta: Delta
    logprobs: dict[str, Any] | None
    finish_reason: FinishReason | None


class ChatCompletionChunk(BaseModel):
    """The data of one event of a stream. `usage` is there only where the request asked for it; the last chunk then holds it and no choices.
    `nanobot` is in the last chunk alone, and in chunks of steps, where they were asked for."""

    id: str
    object: Literal["chat.completion.chunk"]
    created: int
    model: str
    choices: list[ChunkChoice]
    usage: UsageAnswer | None = None
    nanobot: OwnAnswer | StepsAnswer | None = None
