"""The two endpoints."""

import asyncio
import time
from dataclasses import dataclass
from typing import TypeVar

from fastapi import Request, Response
from pydantic import BaseModel, ValidationError

from assistant.api.body.json_body import read_json
from assistant.api.chat.disconnects import unless_gone
from assistant.api.chat.route import Known, Named, ToModel, names_of, route
from assistant.api.chat.stream import ChatStream
from assistant.api.chat.whole import whole_answer
from assistant.api.complaints import complaint
from assistant.api.middleware.scope import admission, header, principal
from assistant.api.settings import ApiSettings
from assistant.api.texts.answers import TextChunks, embedding_list, text_completion
from assistant.api.texts.wire import MOST_ANSWERS, MOST_INPUTS, CompletionRequest, EmbeddingRequest, texts_of
from assistant.contracts.errors import InvalidRequest, ModelNotFound, TurnTimeout, UnsupportedMediaType
from assistant.contracts.ids import new_id
from assistant.contracts.models import ModelRegistry, OpenedModel, Sampling
from assistant.contracts.tokens import estimate_tokens
from assistant.contracts.turns import Asked, Words
from assistant.turns.direct import Direct, DirectRequest
from assistant.turns.estimate import ANSWER

R = TypeVar("R", bound=BaseModel)


@dataclass(frozen=True, slots=True, kw_only=True)
class TextEndpoints:
    registry: ModelRegistry
    direct: Direct
    known: Known
    settings: ApiSettings

    async def complete(self, request: Request) -> Response:
        """Go on with a text, or with each of several."""
        asked = await self._read(request, CompletionRequest)
        prompts = texts_of(asked.prompt, "prompt", MOST_INPUTS)
        answers = asked.n or 1
        _check(asked, len(prompts) * answers)
        opened = await self._open(request, asked.model)
        if opened.writes is None:
            raise InvalidRequest("This model makes vectors: ask it at /v1/embeddings.", param="model")
        sampling = _sampling(asked)
        tokens = sum(estimate_tokens(len(prompt)) + (asked.max_tokens or ANSWER) for prompt in prompts)
        await admission(request.scope).reserve(tokens * answers)
        turn = self.direct.start(
            DirectRequest(
                id=new_id("turn"),
                model=opened.writes,
                conversations=tuple([(Asked(content=(Words(text=prompt),)),) for prompt in prompts for _ in range(answers)]),
                sampling=sampling.over(opened.sampling),
                stream=asked.stream is True,
            )
        )
        created = int(time.time())
        if asked.stream:
            with_usage = asked.stream_options is not None and asked.stream_options.include_usage is True
            chunks = TextChunks(turn.id, created=created, model=asked.model, with_usage=with_usage)
            return ChatStream(turn, chunks, keep_alive=self.settings.keep_alive_seconds, cancel_on_disconnect=True)
        finished = await whole_answer(turn, request, cancels=True)
        return Response(text_completion(finished, created=created, model=asked.model), media_type="application/json")

    async def embed(self, request: Request) -> Response:
        """Make a vector of a text, or of each of several, in order."""
        asked = await self._read(request, EmbeddingRequest)
        texts = texts_of(asked.input, "input", MOST_INPUTS)
        opened = await self._open(request, asked.model)
        if opened.embeds is None:
            raise InvalidRequest("This model makes no vectors: it is of the type " + opened.listed.type + ".", param="model")
        await admission(request.scope).reserve(sum(estimate_tokens(len(text)) for text in texts))
        dimensions = None if asked.dimensions == opened.listed.dimensions else asked.dimensions
        try:
            async with asyncio.timeout(self.settings.timeout):
                made = await unless_gone(opened.embeds.embed(texts, dimensions), request.receive)
        except TimeoutError:
            raise TurnTimeout("The model did not answer in time (api.timeout).") from None
        admission(request.scope).used(made.prompt_tokens)
        encoding = asked.encoding_format or "float"
        body = await asyncio.to_thread(embedding_list, made, model=asked.model, encoding=encoding)
        return Response(body, media_type="application/json")

    async def _read(self, request: Request, model: type[R]) -> R:
        content_type = header(request.scope, b"content-type") or b""
        if content_type.partition(b";")[0].strip().lower() != b"application/json":
            raise UnsupportedMediaType("Send JSON with 'Content-Type: application/json'.")
        body = await read_json(request.scope, request.receive, self.settings.limits.json_bytes)
        try:
            return model.model_validate(body)
        except ValidationError as error:
            raise complaint(error.errors(include_url=False)) from None

    async def _open(self, request: Request, model: str) -> OpenedModel:
        chosen = route(Named(model=model), self.known)
        if not any(map(principal(request.scope).may_use, names_of(chosen, self.known))):
            raise ModelNotFound(param="model")
        if not isinstance(chosen, ToModel):
            raise InvalidRequest("This is an agent: ask it at /v1/chat/completions.", param="model")
        return await self.registry.open(chosen.id)


def _check(asked: CompletionRequest, answers: int) -> None:
    """Refuse what would change the answer if it were ignored."""
    for name, wanted, why in (
        ("echo", asked.echo, "the answer is what comes after the prompt"),
        ("suffix", asked.suffix, "a text can't be filled in, only gone on with"),
        ("best_of", (asked.best_of or 1) > 1, "ask for n answers instead"),
        ("logprobs", asked.logprobs is not None, "ask at /v1/chat/completions"),
    ):
        if wanted:
            raise InvalidRequest(f"'{name}' is not supported: {why}.", param=name)
    if answers > MOST_ANSWERS:
        raise InvalidRequest(f"All prompts together may have {MOST_ANSWERS} answers, 'n' of each.", param="n" if asked.n else "prompt")


def _sampling(asked: CompletionRequest) -> Sampling:
    stop = asked.stop
    return Sampling(
        temperature=asked.temperature,
        top_p=asked.top_p,
        presence_penalty=asked.presence_penalty,
        frequency_penalty=asked.frequency_penalty,
        max_tokens=asked.max_tokens,
        stop=() if stop is None else (stop,) if isinstance(stop, str) else tuple(stop),
        seed=asked.seed,
    )
