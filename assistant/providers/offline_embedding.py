"""Vectors without a model: which words and pieces of words a text holds, hashed into a vector. Texts that share words are near each other; what
they mean is not known. For trying things out, and for tests."""

import asyncio
import math
import re
import zlib
from collections.abc import Iterator, Sequence
from typing import Final

from assistant.contracts.errors import ContextLengthExceeded, InvalidRequest
from assistant.contracts.models import Embeddings, ModelInfo
from assistant.providers.rendering import estimate_tokens

DIMENSIONS: Final = (256, 1536)
"""The shortest and the longest; the longest where a request does not say."""
_CONTEXT: Final = 8_192
"""Tokens of a text, as with OpenAI's."""
_ALL_TOKENS: Final = 300_000
"""Tokens of all texts of a request: likewise, and about a second's work."""
_WORD: Final = re.compile(r"\w+")
_QUICK: Final = 10_000
"""Characters up to which the work is done at once: some milliseconds."""


class OfflineEmbeddings:
    """Lexical feature hashing (Weinberger et al., 2009): words, pairs of neighbours and pieces of three letters, each hashed to a place and a
    sign, counted by the root of how often they occur; the vector has the length 1. The same text always gives the same vector."""

    def __init__(self, dimensions: int | None = None) -> None:
        """`dimensions`: where a request does not say."""
        self._dimensions = dimensions or DIMENSIONS[-1]
        self._working = asyncio.Semaphore(1)  # the threads are others', too
        self._info = ModelInfo(id="offline-embedding", provider="offline", context_tokens=_CONTEXT, vision=False)

    @property
    def info(self) -> ModelInfo:
        return self._info

    async def embed(self, texts: Sequence[str], dimensions: int | None) -> Embeddings:
        length = self._dimensions if dimensions is None else dimensions
        if not DIMENSIONS[0] <= length <= DIMENSIONS[-1]:
            raise InvalidRequest(f"'dimensions' must be {DIMENSIONS[0]} to {DIMENSIONS[-1]} for this model.", param="dimensions")
        tokens = [estimate_tokens(text) for text in texts]
        if max(tokens, default=0) > _CONTEXT or sum(tokens) > _ALL_TOKENS:
            words = f"A text may have {_CONTEXT:,} tokens, and all texts of a request {_ALL_TOKENS:,}."
            raise ContextLengthExceeded(words, param="input")

        def vectors() -> tuple[tuple[float, ...], ...]:
            return tuple([vector(text, length) for text in texts])

        if sum(map(len, texts)) <= _QUICK:
            return Embeddings(vectors=vectors(), prompt_tokens=sum(tokens), model=self._info.id)
        async with self._working:
            made = await asyncio.to_thread(vectors)
        return Embeddings(vectors=made, prompt_tokens=sum(tokens), model=self._info.id)

    async def close(self) -> None:
        """There is nothing to close."""


def vector(text: str, dimensions: int) -> tuple[float, ...]:
    """The vector of a text. One that holds no words is known by its characters."""
    counts: dict[str, int] = {}
    for feature in _features(text):
        counts[feature] = counts.get(feature, 0) + 1
    values = [0.0] * dimensions
    for feature, count in counts.items():
        data = feature.encode("utf-8", "surrogatepass")
        place = zlib.crc32(data)
        weight = math.sqrt(count) * (0.3 if feature[0] == "3" else 1.0)
        values[place % dimensions] += weight if zlib.crc32(data, 0x9E3779B9) & 1 else -weight
    norm = math.sqrt(math.fsum(value * value for value in values))
    if not norm:  # everything cancelled out: a vector of length 1 all the same
        values[zlib.crc32(text.encode("utf-8", "surrogatepass")) % dimensions] = norm = 1.0
    return tuple([value / norm for value in values])


def _features(text: str) -> Iterator[str]:
    words = _WORD.findall(text.lower()) or list(text.strip() or text)
    before = ""
    for word in words:
        yield "1" + word
        if before:
            yield f"2{before} {word}"
        padded = f"^{word}$"
        yield from ("3" + padded[start : start + 3] for start in range(len(padded) - 2))
        before = word
