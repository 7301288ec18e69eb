"""What the API answers, for its description (/openapi.json). The answers themselves are written as bytes where speed matters."""

from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel

from assistant.contracts.channels import ConnectionState
from assistant.contracts.messages import FinishReason


class ErrorDetail(BaseModel):
    message: str
    type: str
    param: str | None
    code: str | None


class ErrorAnswer(BaseModel):
    error: ErrorDetail


class PromptTokensDetails(BaseModel):
    cached_tokens: int


class UsageAnswer(BaseModel):
    """Tokens of this request alone, summed over all the model calls that it took."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptTokensDetails


class AnsweredFunction(BaseModel):
    name: str
    arguments: str


class AnsweredCall(BaseModel):
    id: str
    type: Literal["function"]
    function: AnsweredFunction


class AnswerMessage(BaseModel):
    """`tool_calls`: of the client's tools; then `content` may be null."""

    role: Literal["assistant"]
    content: str | None
    refusal: None
    tool_calls: list[AnsweredCall] | None = None


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


class CallDelta(AnsweredCall):
    index: int


class Delta(BaseModel):
    role: Literal["assistant"] | None = None
    content: str | None = None
    refusal: None = None
    tool_calls: list[CallDelta] | None = None


class ChunkChoice(BaseModel):
    index: int
    delta: Delta
    logprobs: dict[str, Any] | None
    finish_reason: FinishReason | None


class ChatCompletionChunk(BaseModel):
    """The data of one event of a stream. `usage` is there only where the request asked for it; the last chunk then holds it and no choices."""

    id: str
    object: Literal["chat.completion.chunk"]
    created: int
    model: str
    choices: list[ChunkChoice]
    usage: UsageAnswer | None = None


class ModelAnswer(BaseModel):
    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class PriceAnswer(BaseModel):
    """US dollars a million tokens."""

    prompt: float
    completion: float


class ModelDetail(ModelAnswer):
    """A model with what is known of it; null: not known."""

    type: Literal["agent", "workflow", "chat", "completion", "embedding"]
    context_length: int | None
    dimensions: int | None
    vision: bool | None
    price: PriceAnswer | None


class ModelList(BaseModel):
    object: Literal["list"]
    data: list[ModelAnswer]


class HealthAnswer(BaseModel):
    status: Literal["ok"]
    version: str


class CheckAnswer(BaseModel):
    name: str
    ok: bool
    detail: str


class ChannelAnswer(BaseModel):
    name: str
    state: ConnectionState
    detail: str
    since: str


class ReadyAnswer(BaseModel):
    status: Literal["ready", "not_ready"]
    checks: list[CheckAnswer]
    channels: list[ChannelAnswer]


def written(at: datetime) -> str:
    """A time as it is answered: UTC, to the millisecond, "2026-01-31T08:00:00.000Z"."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class SessionUsage(BaseModel):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class SessionAnswer(BaseModel):
    id: str
    object: Literal["session"]
    created: int
    updated: int
    messages: int
    usage: SessionUsage


class SessionList(BaseModel):
    object: Literal["list"]
    data: list[SessionAnswer]
    has_more: bool


class SessionDeleted(BaseModel):
    id: str
    object: Literal["session.deleted"]
    deleted: Literal[True]


class StoredAttachment(BaseModel):
    id: str
    name: str
    kind: Literal["image", "document"]
    size: int


class StoredToolCall(BaseModel):
    id: str
    name: str
    arguments: str


class StoredMessageAnswer(BaseModel):
    id: str
    seq: int
    role: Literal["user", "assistant", "tool"]
    created: int
    content: str
    attachments: list[StoredAttachment]
    tool_calls: list[StoredToolCall]
    cut_off: str | None


class SessionDetail(SessionAnswer):
    data: list[StoredMessageAnswer]
    has_more: bool
