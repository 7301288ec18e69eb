"""/v1/completions and /v1/embeddings."""

import asyncio
import time
from dataclasses import dataclass
from typing import Final

from fastapi import Request, Response

from assistant.api.body.request import read_request
from assistant.api.chat.endpoint import wait_for_result
from assistant.api.chat.route import AgentCatalog, RoutingHints, ToModel, names_of, route
from assistant.api.chat.stream import ChatStream
from assistant.api.complaints import validated
from assistant.api.completions.wire import (
    MOST_ANSWERS,
    MOST_INPUTS,
    Completion,
    CompletionChunk,
    CompletionRequest,
    EmbeddingList,
    EmbeddingRequest,
    TextChunks,
    embedding_list,
    text_completion,
    texts_of,
)
from assistant.api.middleware.request import admission, principal
from assistant.api.openapi import described, endpoint, errors, takes
from assistant.api.settings import ApiSettings
from assistant.api.sse import unless_gone
from assistant.contracts.errors import InvalidRequest, ModelNotFound, TurnTimeout
from assistant.contracts.models import ModelRequest, OpenedModel, Sampling
from assistant.contracts.turns import HistoryMessage, UserText
from assistant.contracts.util import estimate_tokens, new_id
from assistant.providers.registry import ModelRegistry
from assistant.turns.direct import Direct, DirectRequest
from assistant.turns.prompt import ANSWER_ESTIMATE

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
        asked = validated(CompletionRequest, await read_request(request.scope, request.receive, self.settings.limits))
        prompts = texts_of(asked.prompt, "prompt", MOST_INPUTS)
        answers = asked.n or 1
        _check(asked, len(prompts) * answers)
        opened = await self._open(request, asked.model)
        if opened.writes is None:
            raise InvalidRequest("This model makes vectors: ask it at /v1/embeddings.", param="model")
        sampling = _sampling(asked)
        tokens = sum(estimate_tokens(len(prompt)) + (asked.max_tokens or ANSWER_ESTIMATE) for prompt in prompts)
        await admission(request.scope).reserve(tokens * answers)
        turn = self.direct.start(
            DirectRequest(
                id=new_id("turn"),
                model=opened.writes,
                conversations=tuple([(HistoryMessage(content=(UserText(text=prompt),)),) for prompt in prompts for _ in range(answers)]),
                ask=ModelRequest(instructions=(), messages=(), sampling=sampling.over(opened.sampling), stream=asked.stream is True),
            ),
            admission(request.scope),
        )
        created = int(time.time())
        if asked.stream:
            with_usage = asked.stream_options is not None and asked.stream_options.include_usage is True
            chunks = TextChunks(turn.id, created=created, model=asked.model, with_usage=with_usage)
            return ChatStream(turn, chunks, keep_alive=self.settings.keep_alive_seconds, cancel_on_disconnect=True)
        finished = await wait_for_result(turn, request, cancels=True)
        completion = text_completion(finished, created=created, model=asked.model)
        return Response(completion.model_dump_json(), media_type="application/json")

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
        asked = validated(EmbeddingRequest, await read_request(request.scope, request.receive, self.settings.limits))
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
