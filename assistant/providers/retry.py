"""A provider around a provider: asks again after a failure that may pass, as long as nobody has heard a word."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from assistant.contracts.errors import ProviderFailed, ProviderTimeout
from assistant.contracts.messages import AssistantMessage
from assistant.contracts.models import EmbeddingProvider, Embeddings, ModelInfo, ModelProvider, ModelRequest

T = TypeVar("T")

_REPEATS = 2
_FIRST_DELAY = 0.5
_LONGEST_DELAY = 8.0
_PATIENCE = 20.0
"""Seconds. A provider that asks for a longer wait is not asked again: the caller is told how long it would be."""

log = logging.getLogger(__name__)


class Repeats:
    """Asks up to twice more after a retryable failure, waiting up to 0.5 s, then up to 1 s (full jitter), or as long as Retry-After says.

    Never after a timeout, which has used up the patience of whoever waits.
    """

    def __init__(self, provider: str, sleep: Callable[[float], Awaitable[None]], jitter: Callable[[], float]) -> None:
        """`jitter`: a number from 0 to 1, the part of the longest delay that is waited."""
        self._provider = provider
        self._sleep = sleep
        self._jitter = jitter

    async def run(self, ask: Callable[[], Awaitable[T]], heard: "Heard | None" = None) -> T:
        """What `ask` gives; it is not asked again once something was heard."""
        for attempt in range(_REPEATS):
            try:
                return await ask()
            except ProviderFailed as error:
                delay = self._delay(error, attempt)
                if (heard is not None and heard.any) or delay is None:
                    raise
                log.warning("provider.retry provider=%s code=%s attempt=%d delay=%.2f", self._provider, error.code, attempt + 1, delay)
            await self._sleep(delay)
        return await ask()

    def _delay(self, error: ProviderFailed, attempt: int) -> float | None:
        """Seconds until the next attempt; None: there is no point in one."""
        if not error.retryable or isinstance(error, ProviderTimeout):
            return None
        if error.retry_after is None:
            return self._jitter() * min(_LONGEST_DELAY, _FIRST_DELAY * 2**attempt)
        return error.retry_after if error.retry_after <= _PATIENCE else None


class RetryingProvider:
    """A ModelProvider that is asked again (`Repeats`), as long as no piece of text was passed on."""

    def __init__(
        self,
        inner: ModelProvider,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._inner = inner
        self._repeats = Repeats(inner.info.provider, sleep, jitter)

    @property
    def info(self) -> ModelInfo:
        return self._inner.info

    async def complete(self, request: ModelRequest, emit: Callable[[str], None]) -> AssistantMessage:
        heard = Heard(emit)
        return await self._repeats.run(lambda: self._inner.complete(request, heard), heard)

    async def probe(self) -> None:
        await self._inner.probe()

    async def close(self) -> None:
        await self._inner.close()


class RetryingEmbeddings:
    """An EmbeddingProvider that is asked again (`Repeats`)."""

    def __init__(self, inner: EmbeddingProvider) -> None:
        self._inner = inner
        self._repeats = Repeats(inner.info.provider, asyncio.sleep, random.random)

    @property
    def info(self) -> ModelInfo:
        return self._inner.info

    async def embed(self, texts: Sequence[str], dimensions: int | None) -> Embeddings:
        return await self._repeats.run(lambda: self._inner.embed(texts, dimensions))

    async def close(self) -> None:
        await self._inner.close()


class Heard:
    """Passes text on and remembers whether there was any."""

    __slots__ = ("_emit", "any")

    def __init__(self, emit: Callable[[str], None]) -> None:
        self._emit = emit
        self.any = False

    def __call__(self, text: str) -> None:
        self.any = True
        self._emit(text)
