"""Text completions and embeddings as JSON."""

import base64
import struct
from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal, cast

import orjson
from pydantic import BaseModel, Field, WithJsonSchema

from assistant.api.answers import Answer, UsageAnswer
from assistant.api.chat.stream import usage
from assistant.api.chat.wire import StopSequences, StreamOptions, WireModel
from assistant.api.sse import DONE, error_event
from assistant.contracts.errors import InvalidRequest, NanobotError
from assistant.contracts.messages import FinishReason
from assistant.contracts.models import Embeddings
from assistant.contracts.turns import TurnFinished

MOST_INPUTS: Final = 2_048
MOST_ANSWERS: Final = 128
_TEXTS: Final = {
    "anyOf": [
        {"type": "string", "minLength": 1},
        {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1, "maxItems": MOST_INPUTS},
    ]
}
Texts = Annotated[Any, WithJsonSchema(_TEXTS)]


class CompletionRequest(WireModel):
    """One text or several, which a model continues."""

    model: str = Field(description="A registered model of the type completion, or chat: then it answers the text.")
    prompt: Texts = Field(description="One text or several. Tokens are not taken.")
    n: int | None = Field(default=None, ge=1, le=MOST_ANSWERS, description="Answers to each prompt; of all of them, at most 128.")
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: int | None = Field(default=None, ge=1, le=2**31 - 1)
    temperature: float | None = Field(default=None, ge=0, le=2, allow_inf_nan=False)
    top_p: float | None = Field(default=None, ge=0, le=1, allow_inf_nan=False)
    stop: StopSequences | None = None
    seed: int | None = Field(default=None, ge=-(2**63), le=2**63 - 1)
    presence_penalty: float | None = Field(default=None, ge=-2, le=2, allow_inf_nan=False)
    frequency_penalty: float | None = Field(default=None, ge=-2, le=2, allow_inf_nan=False)
    echo: Annotated[bool | None, WithJsonSchema({"enum": [False, None]})] = Field(default=None, description="Only false.")
    suffix: Annotated[str | None, WithJsonSchema({"enum": ["", None]})] = Field(default=None, description="Not supported.")
    best_of: Annotated[int | None, Field(ge=1, le=20), WithJsonSchema({"enum": [1, None]})] = Field(default=None, description="Only 1.")
    logprobs: Annotated[int | None, Field(ge=0, le=5), WithJsonSchema({"type": "null"})] = Field(default=None, description="Not supported.")


class EmbeddingRequest(WireModel):
    """Texts to be made vectors of."""

    model: str = Field(description="A registered model of the type embedding.")
    input: Texts = Field(description="One text, or up to 2,048. Tokens are not taken.")
    dimensions: int | None = Field(default=None, ge=1, le=65_536, description="How long the vectors are to be, where the model can.")
    encoding_format: Literal["float", "base64"] | None = Field(
        default=None, description="base64: of 32-bit floats, the least significant byte first."
    )


class CompletionChoice(Answer):
    index: int
    text: str
    logprobs: None = None
    finish_reason: FinishReason


class Completion(Answer):
    id: str
    object: Literal["text_completion"] = "text_completion"
    created: int
    model: str
    choices: list[CompletionChoice]
    usage: UsageAnswer


class CompletionPiece(Answer):
    index: int
    text: str
    logprobs: None = None
    finish_reason: FinishReason | None


class CompletionChunk(BaseModel):
    """The data of one event of a stream. `usage` is there only where the request asked for it; the last chunk then holds it and no choices."""

    id: str
    object: Literal["text_completion"]
    created: int
    model: str
    choices: list[CompletionPiece]
    usage: UsageAnswer | None = None


class Embedding(BaseModel):
    object: Literal["embedding"]
    index: int
    embedding: list[float] | str


class EmbeddingUsage(BaseModel):
    prompt_tokens: int
    total_tokens: int


class EmbeddingList(BaseModel):
    object: Literal["list"]
    data: list[Embedding]
    model: str
    usage: EmbeddingUsage


def texts_of(value: object, param: str, most: int) -> tuple[str, ...]:
    """One text or several, none of them empty. Raises InvalidRequest."""
    if value is None:
        raise InvalidRequest(f"'{param}' is missing.", param=param)
    if isinstance(value, str):
        if not value:
            raise InvalidRequest(f"'{param}' is empty.", param=param)
        return (value,)
    items = cast("list[object]", value) if isinstance(value, list) else []
    if not items:
        raise InvalidRequest(f"'{param}' must be a string or an array of strings, not empty.", param=param)
    if len(items) > most:
        raise InvalidRequest(f"'{param}' holds more than {most:,} texts.", param=param)
    if all(isinstance(item, int | list) for item in items):
        words = "are not taken: which text they stand for depends on the model. Send the text itself."
        raise InvalidRequest(f"Tokens in '{param}' {words}", param=param)
    for index, item in enumerate(items):
        if not isinstance(item, str) or not item:
            raise InvalidRequest(f"'{param}.{index}' must be a string that is not empty.", param=f"{param}.{index}")
    return tuple(cast("list[str]", items))


def text_completion(finished: TurnFinished, *, created: int, model: str) -> Completion:
    choices = [CompletionChoice(index=at, text=said.text, finish_reason=said.finish_reason) for at, said in enumerate(finished.answers)]
    return Completion(id=_id(finished.turn_id), created=created, model=model, choices=choices, usage=_usage(finished))


class TextChunks:
    """The events of a stream; an EventEncoder."""

    def __init__(self, turn_id: str, *, created: int, model: str, with_usage: bool) -> None:
        self._empty = CompletionChunk(id=_id(turn_id), object="text_completion", created=created, model=model, choices=[])
        self._without: set[str] = set() if with_usage else {"usage"}

    def begin(self) -> bytes:
        return b""

    def text(self, text: str, index: int = 0) -> bytes:
        return self._event(choices=[CompletionPiece(index=index, text=text, finish_reason=None)])

    def end(self, finished: TurnFinished) -> bytes:
        pieces = [CompletionPiece(index=at, text="", finish_reason=said.finish_reason) for at, said in enumerate(finished.answers)]
        last = [] if self._without else [self._event(usage=_usage(finished))]
        return b"".join([*[self._event(choices=[piece]) for piece in pieces], *last, DONE])

    def failure(self, error: NanobotError) -> bytes:
        return error_event(error)

    def _event(self, **fields: object) -> bytes:
        return b"data: " + self._empty.model_copy(update=fields).model_dump_json(exclude=self._without).encode() + b"\n\n"


def embedding_list(made: Embeddings, *, model: str, encoding: Literal["float", "base64"]) -> bytes:
    """Vector by vector: for a thread, which then lets others work in between."""
    data = b",".join([_embedding(index, vector, encoding) for index, vector in enumerate(made.vectors)])
    counted = {"prompt_tokens": made.prompt_tokens, "total_tokens": made.prompt_tokens}
    return b'{"object":"list","data":[%b],"model":%b,"usage":%b}' % (data, orjson.dumps(model), orjson.dumps(counted))


def _embedding(index: int, vector: Sequence[float], encoding: Literal["float", "base64"]) -> bytes:
    value = list(vector) if encoding == "float" else base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode("ascii")
    return orjson.dumps({"object": "embedding", "index": index, "embedding": value})


def _id(turn_id: str) -> str:
    return "cmpl-" + turn_id.removeprefix("turn_")


def _usage(finished: TurnFinished) -> UsageAnswer:
    return UsageAnswer.model_validate(usage(finished.usage))
