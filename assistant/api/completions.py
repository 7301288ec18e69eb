"""/v1/completions and /v1/embeddings."""

import asyncio
import base64
import struct
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, Final, Literal, cast

import orjson
from fastapi import Request, Response
from pydantic import BaseModel, Field, WithJsonSchema

from assistant.api.answers import Answer, UsageAnswer
from assistant.api.body.request import read_json
from assistant.api.chat.endpoint import wait_for_result
from assistant.api.chat.extras import extra_fields
from assistant.api.chat.read import sampling_of
from assistant.api.chat.route import AgentCatalog, RoutingHints, ToModel, names_of, route
from assistant.api.chat.stream import ChatStream, usage
from assistant.api.chat.wire import ChatOptions, StopSequences, StreamOptions, WireModel
from assistant.api.complaints import validated
from assistant.api.middleware.request import principal, state_of
from assistant.api.openapi import described, endpoint, errors, takes
from assistant.api.settings import ApiSettings
from assistant.api.sse import DONE, error_event, unless_gone
from assistant.contracts.errors import InvalidRequest, ModelNotFound, NanobotError, RefusedByProvider, RequestRefused, TurnTimeout
from assistant.contracts.messages import AssistantMessage, FinishReason, Verbatim
from assistant.contracts.models import EmbeddingInput, Embeddings, ModelRequest, OpenedModel, Scored, TokenizedText
from assistant.contracts.records import record
from assistant.contracts.turns import HistoryMessage, TurnFinished, UserText
from assistant.contracts.util import estimate_tokens, new_id
from assistant.providers.registry import ModelRegistry
from assistant.turns.direct import Direct, DirectRequest
from assistant.turns.prompt import ANSWER_ESTIMATE

MOST_INPUTS: Final = 2_048
MOST_ANSWERS: Final = 128
MOST_TOKEN: Final = 2**31 - 1
_TEXT: Final = {"type": "string", "minLength": 1}
_TOKENS: Final = {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": MOST_TOKEN}, "minItems": 1}
_TEXTS: Final = {
    "anyOf": [
        _TEXT,
        _TOKENS,
        {"type": "array", "items": _TEXT, "minItems": 1, "maxItems": MOST_INPUTS},
        {"type": "array", "items": _TOKENS, "minItems": 1, "maxItems": MOST_INPUTS},
    ]
}
Texts = Annotated[Any, WithJsonSchema(_TEXTS)]


_OWN: Final = "For a model that has completions of its own."


class CompletionRequest(WireModel):
    """One text or several, which a model continues."""

    model: str = Field(description="A registered model of the type completion, or chat: then it answers the text.")
    prompt: Texts = Field(description="One text or several; tokens, of a model that has completions of its own.")
    n: int | None = Field(default=None, ge=1, le=MOST_ANSWERS, description="Answers to each prompt; of all of them, at most 128.")
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: int | None = Field(default=None, ge=0, le=2**31 - 1, description="0: with `echo` only.")
    temperature: float | None = Field(default=None, ge=0, le=2, allow_inf_nan=False)
    top_p: float | None = Field(default=None, ge=0, le=1, allow_inf_nan=False)
    stop: StopSequences | None = None
    seed: int | None = Field(default=None, ge=-(2**63), le=2**63 - 1)
    presence_penalty: float | None = Field(default=None, ge=-2, le=2, allow_inf_nan=False)
    frequency_penalty: float | None = Field(default=None, ge=-2, le=2, allow_inf_nan=False)
    echo: bool | None = Field(default=None, description=_OWN)
    suffix: str | None = Field(default=None, description=_OWN)
    best_of: int | None = Field(default=None, ge=1, le=20, description=_OWN)
    logprobs: int | None = Field(default=None, ge=0, le=20, description=_OWN)


class EmbeddingRequest(WireModel):
    """Texts to be made vectors of."""

    model: str = Field(description="A registered model of the type embedding.")
    input: Texts = Field(description="One text, or up to 2,048; each may be given in the model's own tokens.")
    dimensions: int | None = Field(default=None, ge=1, le=65_536, description="How long the vectors are to be, where the model can.")
    encoding_format: Literal["float", "base64"] | None = Field(
        default=None, description="base64: of 32-bit floats, the least significant byte first."
    )


class CompletionChoice(Answer):
    index: int
    text: str
    logprobs: dict[str, Any] | None
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
    logprobs: dict[str, Any] | None = None
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


def inputs_of(value: object, param: str) -> tuple[EmbeddingInput, ...]:
    """One input or several, all texts or all tokens, none of them empty. Raises InvalidRequest."""
    if value is None:
        raise InvalidRequest(f"'{param}' is missing.", param=param)
    if isinstance(value, str):
        if not value:
            raise InvalidRequest(f"'{param}' is empty.", param=param)
        return (value,)
    items = cast("list[object]", value) if isinstance(value, list) else []
    if not items:
        raise InvalidRequest(f"'{param}' must be a string, or an array of strings or of tokens, not empty.", param=param)
    if type(items[0]) is int:
        return (_tokens(items, param),)
    if len(items) > MOST_INPUTS:
        raise InvalidRequest(f"'{param}' holds more than {MOST_INPUTS:,} texts.", param=param)
    if isinstance(items[0], list):
        return tuple([_tokens(item, f"{param}.{index}") for index, item in enumerate(items)])
    for index, item in enumerate(items):
        if not isinstance(item, str) or not item:
            raise InvalidRequest(f"'{param}.{index}' must be a string that is not empty.", param=f"{param}.{index}")
    return tuple(cast("list[str]", items))


def _tokens(value: object, param: str) -> TokenizedText:
    tokens = cast("list[object]", value) if isinstance(value, list) else []
    if not tokens:
        raise InvalidRequest(f"'{param}' must be an array of tokens that is not empty.", param=param)
    if any(type(token) is not int or not 0 <= token <= MOST_TOKEN for token in tokens):
        raise InvalidRequest(f"'{param}' must hold tokens only: whole numbers from 0 to {MOST_TOKEN:,}.", param=param)
    return tuple(cast("list[int]", tokens))


def _estimate(text: EmbeddingInput) -> int:
    return estimate_tokens(len(text)) if isinstance(text, str) else len(text)


def _said(prompt: EmbeddingInput) -> HistoryMessage:
    if isinstance(prompt, str):
        return HistoryMessage(content=(UserText(text=prompt),))
    return HistoryMessage(content=(Verbatim(text="", value={"type": "tokens", "tokens": list(prompt)}),))


def text_completion(finished: TurnFinished, *, created: int, model: str) -> Completion:
    choices = [
        CompletionChoice(index=at, text=said.text, logprobs=_scores(said), finish_reason=said.finish_reason)
        for at, said in enumerate(finished.answers)
    ]
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

    def thought(self, text: str, index: int = 0) -> bytes:
        return b""

    def end(self, finished: TurnFinished) -> bytes:
        pieces = [
            CompletionPiece(index=at, text="", logprobs=_scores(said), finish_reason=said.finish_reason)
            for at, said in enumerate(finished.answers)
        ]
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


def _scores(said: AssistantMessage) -> dict[str, Any] | None:
    return said.logprobs if isinstance(said, Scored) and isinstance(said.logprobs, dict) else None


def _usage(finished: TurnFinished) -> UsageAnswer:
    return UsageAnswer.model_validate(usage(finished.usage))


_ERRORS: Final = errors(400, 401, 404, 408, 413, 415, 429, 499, 502, 503, 504)
_EITHER: Final = "The answer; or, with `stream: true`, events of CompletionChunk and at last `[DONE]`."


@record
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
        body = await read_json(request.scope, request.receive, self.settings.limits)
        asked = validated(CompletionRequest, body)
        prompts = inputs_of(asked.prompt, "prompt")
        answers = asked.n or 1
        if len(prompts) * answers > MOST_ANSWERS:
            words = f"All prompts together may have {MOST_ANSWERS} answers, 'n' of each."
            raise InvalidRequest(words, param="n" if asked.n else "prompt")
        opened = await self._open(request, asked.model)
        if opened.writes is None:
            raise InvalidRequest("This model makes vectors: ask it at /v1/embeddings.", param="model")
        _check(asked, prompts, completes=opened.completes)
        sampling = sampling_of(ChatOptions.model_validate(asked.model_dump(exclude={*_COMPLETION_ONLY, "max_tokens"})), None)
        tokens = sum(_estimate(prompt) + (asked.max_tokens or ANSWER_ESTIMATE) for prompt in prompts)
        await state_of(request.scope).admission.reserve(tokens * answers)
        own = {name: body[name] for name in _COMPLETION_ONLY if name != "prompt" and body.get(name) is not None} if opened.completes else {}
        turn = self.direct.start(
            DirectRequest(
                id=new_id("turn"),
                model=opened.writes,
                conversations=tuple([(_said(prompt),) for prompt in prompts for _ in range(answers)]),
                ask=ModelRequest(
                    instructions=(),
                    messages=(),
                    sampling=replace(sampling, max_tokens=asked.max_tokens).over(opened.sampling),
                    stream=asked.stream is True,
                    top_logprobs=asked.logprobs,
                    extra_fields=own | extra_fields(body, known=CompletionRequest.model_fields.keys()),
                    payer=principal(request.scope).payer,
                ),
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
        body = await read_json(request.scope, request.receive, self.settings.limits)
        asked = validated(EmbeddingRequest, body)
        inputs = inputs_of(asked.input, "input")
        opened = await self._open(request, asked.model)
        if opened.embeds is None:
            raise InvalidRequest("This model makes no vectors: it is of the type " + opened.listed.type + ".", param="model")
        await state_of(request.scope).admission.reserve(sum(map(_estimate, inputs)))
        dimensions = None if asked.dimensions == opened.listed.dimensions else asked.dimensions
        further = extra_fields(body, known=EmbeddingRequest.model_fields.keys())
        try:
            async with asyncio.timeout(self.settings.timeout):
                payer = principal(request.scope).payer
                made = await unless_gone(opened.embeds.embed(inputs, dimensions, further, payer), request.receive)
        except RequestRefused as error:
            raise RefusedByProvider(error.message) from None
        except TimeoutError:
            raise TurnTimeout("The model did not answer in time (api.timeout).") from None
        state_of(request.scope).admission.used(made.prompt_tokens)
        answer = await asyncio.to_thread(embedding_list, made, model=asked.model, encoding=asked.encoding_format or "float")
        return Response(answer, media_type="application/json")

    async def _open(self, request: Request, model: str) -> OpenedModel:
        chosen = route(RoutingHints(model=model), self.known)
        if not any(map(principal(request.scope).may_use, names_of(chosen, self.known))):
            raise ModelNotFound(param="model")
        if not isinstance(chosen, ToModel):
            raise InvalidRequest("This is an agent: ask it at /v1/chat/completions.", param="model")
        return await self.registry.open(chosen.id)


_COMPLETION_ONLY: Final = frozenset({"prompt", "echo", "suffix", "best_of", "logprobs"})
"""Fields that chat completions do not have, or have in another form."""


def _check(asked: CompletionRequest, prompts: Sequence[EmbeddingInput], *, completes: bool) -> None:
    """Refuse what a model without completions of its own can't do, and would change the answer if it were ignored."""
    if asked.max_tokens == 0 and not (asked.echo and completes):
        raise InvalidRequest("'max_tokens' must be at least 1.", param="max_tokens")
    if completes:
        return
    for name, wanted, why in (
        ("prompt", not all(isinstance(prompt, str) for prompt in prompts), "send the text itself, not its tokens"),
        ("echo", asked.echo, "the answer is what comes after the prompt"),
        ("suffix", asked.suffix, "a text is continued, not filled in"),
        ("best_of", (asked.best_of or 1) > 1, "ask for n answers instead"),
        ("logprobs", asked.logprobs is not None, "ask at /v1/chat/completions"),
    ):
        if wanted:
            raise InvalidRequest(f"'{name}' can't be taken: this model has no completions of its own; {why}.", param=name)
