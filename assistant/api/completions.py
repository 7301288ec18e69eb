"""/v1/completions and /v1/embeddings."""

import asyncio
import base64
import struct
import time
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, cast

import orjson
from fastapi import Request, Response
from pydantic import BaseModel, Field, WithJsonSchema

from assistant.api.answers import Answer, UsageAnswer
from assistant.api.body.request import read_json
from assistant.api.chat.endpoint import wait_for_result
from assistant.api.chat.read import sampling_of
from assistant.api.chat.route import AgentCatalog, RoutingHints, ToModel, names_of, route
from assistant.api.chat.stream import ChatStream, usage
from assistant.api.chat.wire import ChatOptions, StopSequences, StreamOptions, WireModel
from assistant.api.complaints import validated
from assistant.api.middleware.request import principal, state_of
from assistant.api.openapi import described, endpoint, errors, takes
from assistant.api.settings import ApiSettings
from assistant.api.sse import DONE, error_event, unless_gone
from assistant.contracts.errors import InvalidRequest, ModelNotFound, NanobotError, TurnTimeout
from assistant.contracts.messages import FinishReason
from assistant.contracts.models import Embeddings, ModelRequest, OpenedModel
from assistant.contracts.turns import HistoryMessage, TurnFinished, UserText
from assistant.contracts.util import estimate_tokens, new_id
from assistant.providers.registry import ModelRegistry
from assistant.turns.direct import Direct, DirectRequest
from assistant.turns.prompt import ANSWER_ESTIMATE

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
    entries: list[bytes] = []
    for index, vector in enumerate(made.vectors):
        value = list(vector) if encoding == "float" else base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode("ascii")
        entries.append(orjson.dumps({"object": "embedding", "index": index, "embedding": value}))
    counted = {"prompt_tokens": made.prompt_tokens, "total_tokens": made.prompt_tokens}
    return b'{"object":"list","data":[%b],"model":%b,"usage":%b}' % (b",".join(entries), orjson.dumps(model), orjson.dumps(counted))


def _id(turn_id: str) -> str:
    return "cmpl-" + turn_id.removeprefix("turn_")


def _usage(finished: TurnFinished) -> UsageAnswer:
    return UsageAnswer.model_validate(usage(finished.usage))


_ERRORS: Final = errors(400, 401, 404, 408, 413, 415, 429, 499, 502, 503, 504)
_EITHER: Final = "The answer; or, with `stream: true`, events of CompletionChunk and at last `[DONE]`."


@dataclass(frozen=True, slots=True, kw_only=True)
class TextEndpoints:
    registry: ModelRegistry
    direct: Direct
    known: AgentCatalog
    settings: ApiSettings

    @endpoint(
        "POST",
        "/v1/completions",
        "Continue a text",
        scope="chat",
        responses={200: described(Completion, _EITHER, CompletionChunk), **_ERRORS},
        extra=takes(CompletionRequest),
    )
    async def complete(self, request: Request) -> Response:
        """Continue a text, or each of several."""
        asked = validated(CompletionRequest, await read_json(request.scope, request.receive, self.settings.limits))
        prompts = texts_of(asked.prompt, "prompt", MOST_INPUTS)
        answers = asked.n or 1
        _check(asked, len(prompts) * answers)
        opened = await self._open(request, asked.model)
        if opened.writes is None:
            raise InvalidRequest("This model makes vectors: ask it at /v1/embeddings.", param="model")
        sampling = sampling_of(ChatOptions.model_validate(asked.model_dump(exclude={"prompt"})), None)
        tokens = sum(estimate_tokens(len(prompt)) + (asked.max_tokens or ANSWER_ESTIMATE) for prompt in prompts)
        await state_of(request.scope).admission.reserve(tokens * answers)
        turn = self.direct.start(
            DirectRequest(
                id=new_id("turn"),
                model=opened.writes,
                conversations=tuple([(HistoryMessage(content=(UserText(text=prompt),)),) for prompt in prompts for _ in range(answers)]),
                ask=ModelRequest(instructions=(), messages=(), sampling=sampling.over(opened.sampling), stream=asked.stream is True),
            ),
            state_of(request.scope).admission,
        )
        created = int(time.time())
        if asked.stream:
            with_usage = asked.stream_options is not None and asked.stream_options.include_usage is True
            chunks = TextChunks(turn.id, created=created, model=asked.model, with_usage=with_usage)
            return ChatStream(turn, chunks, keep_alive=self.settings.keep_alive_seconds, cancel_on_disconnect=True)
        finished = await wait_for_result(turn, request, cancels=True)
        return Response(text_completion(finished, created=created, model=asked.model).model_dump_json(), media_type="application/json")

    @endpoint(
        "POST",
        "/v1/embeddings",
        "Make vectors of texts",
        scope="chat",
        responses={200: described(EmbeddingList, "Successful Response"), **_ERRORS},
        extra=takes(EmbeddingRequest),
    )
    async def embed(self, request: Request) -> Response:
        """Make a vector of a text, or of each of several, in order."""
        asked = validated(EmbeddingRequest, await read_json(request.scope, request.receive, self.settings.limits))
        texts = texts_of(asked.input, "input", MOST_INPUTS)
        opened = await self._open(request, asked.model)
        if opened.embeds is None:
            raise InvalidRequest("This model makes no vectors: it is of the type " + opened.listed.type + ".", param="model")
        await state_of(request.scope).admission.reserve(sum(estimate_tokens(len(text)) for text in texts))
        dimensions = None if asked.dimensions == opened.listed.dimensions else asked.dimensions
        try:
            async with asyncio.timeout(self.settings.timeout):
                made = await unless_gone(opened.embeds.embed(texts, dimensions), request.receive)
        except TimeoutError:
            raise TurnTimeout("The model did not answer in time (api.timeout).") from None
        state_of(request.scope).admission.used(made.prompt_tokens)
        body = await asyncio.to_thread(embedding_list, made, model=asked.model, encoding=asked.encoding_format or "float")
        return Response(body, media_type="application/json")

    async def _open(self, request: Request, model: str) -> OpenedModel:
        chosen = route(RoutingHints(model=model), self.known)
        if not any(map(principal(request.scope).may_use, names_of(chosen, self.known))):
            raise ModelNotFound(param="model")
        if not isinstance(chosen, ToModel):
            raise InvalidRequest("This is an agent: ask it at /v1/chat/completions.", param="model")
        return await self.registry.open(chosen.id)


def _check(asked: CompletionRequest, answers: int) -> None:
    """Refuse options that would change the answer if they were ignored."""
    for name, wanted, why in (
        ("echo", asked.echo, "the answer is what comes after the prompt"),
        ("suffix", asked.suffix, "a text is continued, not filled in"),
        ("best_of", (asked.best_of or 1) > 1, "ask for n answers instead"),
        ("logprobs", asked.logprobs is not None, "ask at /v1/chat/completions"),
    ):
        if wanted:
            raise InvalidRequest(f"'{name}' is not supported: {why}.", param=name)
    if answers > MOST_ANSWERS:
        raise InvalidRequest(f"All prompts together may have {MOST_ANSWERS} answers, 'n' of each.", param="n" if asked.n else "prompt")
