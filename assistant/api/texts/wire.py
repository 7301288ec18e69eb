"""What the two endpoints take and give. Fields that are not here are ignored, as OpenAI's own server ignores them."""

from typing import Annotated, Any, Final, Literal, cast

from pydantic import BaseModel, Field, WithJsonSchema

from assistant.api.chat.wire import Stop, StreamOptions, Wire
from assistant.api.wire_answers import UsageAnswer
from assistant.contracts.errors import InvalidRequest
from assistant.contracts.messages import FinishReason

MOST_INPUTS: Final = 2_048
MOST_ANSWERS: Final = 128
_TEXTS: Final = {
    "anyOf": [
        {"type": "string", "minLength": 1},
        {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1, "maxItems": MOST_INPUTS},
    ]
}
Texts = Annotated[Any, WithJsonSchema(_TEXTS)]


class CompletionRequest(Wire):
    """A text that a model goes on with, or several."""

    model: str = Field(description="A registered model of the type completion, or chat: then it answers the text.")
    prompt: Texts = Field(description="One text or several. Tokens are not taken.")
    n: int | None = Field(default=None, ge=1, le=MOST_ANSWERS, description="Answers to each prompt; of all of them, at most 128.")
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: int | None = Field(default=None, ge=1, le=2**31 - 1)
    temperature: float | None = Field(default=None, ge=0, le=2, allow_inf_nan=False)
    top_p: float | None = Field(default=None, ge=0, le=1, allow_inf_nan=False)
    stop: Stop | None = None
    seed: int | None = Field(default=None, ge=-(2**63), le=2**63 - 1)
    presence_penalty: float | None = Field(default=None, ge=-2, le=2, allow_inf_nan=False)
    frequency_penalty: float | None = Field(default=None, ge=-2, le=2, allow_inf_nan=False)
    echo: Annotated[bool | None, WithJsonSchema({"enum": [False, None]})] = Field(default=None, description="Only false.")
    suffix: Annotated[str | None, WithJsonSchema({"enum": ["", None]})] = Field(default=None, description="Not supported.")
    best_of: Annotated[int | None, Field(ge=1, le=20), WithJsonSchema({"enum": [1, None]})] = Field(default=None, description="Only 1.")
    logprobs: Annotated[int | None, Field(ge=0, le=5), WithJsonSchema({"type": "null"})] = Field(default=None, description="Not supported.")


class EmbeddingRequest(Wire):
    """Texts to be made vectors of."""

    model: str = Field(description="A registered model of the type embedding.")
    input: Texts = Field(description="One text, or up to 2,048. Tokens are not taken.")
    dimensions: int | None = Field(default=None, ge=1, le=65_536, description="How long the vectors are to be, where the model can.")
    encoding_format: Literal["float", "base64"] | None = Field(
        default=None, description="base64: of 32-bit floats, the least significant byte first."
    )


class CompletionChoice(BaseModel):
    index: int
    text: str
    logprobs: None
    finish_reason: FinishReason


class Completion(BaseModel):
    id: str
    object: Literal["text_completion"]
    created: int
    model: str
    choices: list[CompletionChoice]
    usage: UsageAnswer


class CompletionPiece(BaseModel):
    index: int
    text: str
    logprobs: None
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
