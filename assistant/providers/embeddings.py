"""OpenAI's wire for embeddings: POST <api_base>/embeddings, in batches."""

import asyncio
from array import array
from collections.abc import Sequence
from functools import partial
from typing import Any, Final, cast

import orjson

from assistant.contracts.errors import ProviderFailed
from assistant.contracts.models import Embeddings
from assistant.contracts.util import estimate_tokens
from assistant.providers.chain import RetryPolicy
from assistant.providers.failures import stream_failure
from assistant.providers.http import HttpWire, ProviderEndpoint
from assistant.providers.messages import count, listed, mapping

_BATCH: Final = 128
_BATCH_CHARS: Final = 400_000
"""Texts and characters of a call: below what OpenAI (2,048 texts, 300,000 tokens) and smaller servers take. Parsing the answer blocks the loop:
for 20 ms with 128 vectors of 1,536 numbers."""
_LARGEST: Final = 3.4e38
"""Of 32 bits, as vectors are kept and sent everywhere."""


class OpenAIEmbeddings(HttpWire):
    """Implements EmbeddingProvider, with retries. A batch that fails fails the whole."""

    def __init__(self, endpoint: ProviderEndpoint) -> None:
        super().__init__(endpoint)
        self._retry = RetryPolicy()

    async def embed(self, texts: Sequence[str], dimensions: int | None) -> Embeddings:
        return await self._retry.run(self.info.provider, partial(self._embed, texts, dimensions))

    async def _embed(self, texts: Sequence[str], dimensions: int | None) -> Embeddings:
        vectors: list[Sequence[float]] = []
        tokens, model = 0, ""
        for batch in batches(texts):
            made = await self._batch(batch, dimensions)
            vectors += made.vectors
            tokens += made.prompt_tokens
            model = made.model
        if len({len(vector) for vector in vectors} | ({dimensions} - {None})) > 1:
            raise ProviderFailed(f"{self._endpoint.peer.provider} gave vectors of other lengths than requested.", retryable=False)
        return Embeddings(vectors=tuple(vectors), prompt_tokens=tokens, model=model or self.info.id)

    async def _batch(self, texts: Sequence[str], dimensions: int | None) -> Embeddings:
        body: dict[str, Any] = {"model": self.info.id, "input": list(texts), "encoding_format": "float"}
        if dimensions is not None:
            body["dimensions"] = dimensions
        async with self._http.request("POST", "/embeddings", orjson.dumps({**body, **self._endpoint.settings.extra_body})) as response:
            answer = await self._http.json(response)
        if answer.get("error"):
            raise stream_failure(self._endpoint.peer, answer["error"])
        usage = mapping(answer.get("usage"))
        counted = count(usage, "prompt_tokens") or count(usage, "total_tokens") or sum(estimate_tokens(len(text)) for text in texts)
        vectors = await asyncio.to_thread(self._vectors, answer, len(texts))
        return Embeddings(vectors=vectors, prompt_tokens=counted, model=str(answer.get("model") or self.info.id))

    def _vectors(self, answer: dict[str, Any], wanted: int) -> tuple[Sequence[float], ...]:
        """In the order of `index`. For a thread. Raises ProviderFailed unless there is one for each text."""
        found: dict[int, Sequence[float]] = {}
        for place, item in enumerate(map(mapping, listed(answer.get("data")))):
            index: object = item.get("index", place)
            vector = _vector(listed(item.get("embedding")))
            if isinstance(index, int) and vector:
                found[index] = vector
        if sorted(found) != list(range(wanted)):
            who = self._endpoint.peer.provider
            raise ProviderFailed(f"{who} gave {len(found)} vectors that can be read for {wanted} texts.", retryable=False)
        return tuple([found[index] for index in range(wanted)])


def _vector(values: list[object]) -> Sequence[float]:
    """As an array, which takes a quarter of the memory; empty where it is no vector."""
    if not values or not set(map(type, values)) <= {int, float}:
        return ()
    vector = array("d", cast("list[float]", values))
    return vector if min(vector) > -_LARGEST and max(vector) < _LARGEST else ()


def batches(texts: Sequence[str]) -> list[list[str]]:
    """The texts in order, in as few calls as the limits allow."""
    made: list[list[str]] = []
    size = 0
    for text in texts:
        if not made or len(made[-1]) >= _BATCH or size + len(text) > _BATCH_CHARS:
            made.append([])
            size = 0
        made[-1].append(text)
        size += len(text)
    return made
