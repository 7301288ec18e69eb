"""A provider around a provider: asks again after a failure that may pass, as long as nobody has heard a word."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable

from assistant.contracts.errors import ProviderFailed, ProviderTimeout
from assistant.contracts.messages import AssistantMessage
from assistant.contracts.models import ModelInfo, ModelProvider, ModelRequest

_REPEATS = 2
_FIRST_DELAY = 0.5
_LONGEST_DELAY = 8.0
_PATIENCE = 20.0
"""Seconds. A provider that asks for a longer wait is not asked again: the caller is told how long it would be."""

log = logging.getLogger(__name__)


class RetryingProvider:
    """Asks up to twice more after a retryable failure, waiting up to 0.5 s, then up to 1 s (full jitter), or as long as Retry-After says.

    Never after the first piece of text was passed on; never after a timeout, which has used up the patience of whoever waits.
    """

    def __init__(
        self,
        inner: ModelProvider,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """`jitter`: a number from 0 to 1, the part of the longest delay that is waited."""
        self._inner = inner
        self._sleep = sleep
        self._jitter = jitter

    @property
    def info(self) -> ModelInfo:
        return self._inner.info

    async def complete(self, request: ModelRequest, emit: Callable[[str], None]) -> AssistantMessage:
        heard = Heard(emit)
        for attempt in range(_REPEATS):
            try:
                return await self._inner.complete(request, heard)
            except ProviderFailed as error:
                delay = self._delay(error, attempt)
                if heard.any or delay is None:
                    raise
                log.warning("provider.retry provider=%s code=%s attempt=%d delay=%.2f", self.info.provider, error.code, attempt + 1, delay)
            await self._sleep(delay)
        return await self._inner.complete(request, heard)

    async def probe(self) -> None:
        await self._inner.probe()

    async def close(self) -> None:
        await self._inner.close()

    def _delay(self, error: ProviderFailed, attempt: int) -> float | None:
        """Seconds until the next attempt; None: there is no point in one."""
        if not error.retryable or isinstance(error, ProviderTimeout):
            return None
        if error.retry_after is None:
            return self._jitter() * min(_LONGEST_DELAY, _FIRST_DELAY * 2**attempt)
        return error.retry_after if error.retry_after <= _PATIENCE else None


class Heard:
    """Passes text on and remembers whether there was any."""

    __slots__ = ("_emit", "any")

    def __init__(self, emit: Callable[[str], None]) -> None:
        self._emit = emit
        self.any = False

    def __call__(self, text: str) -> None:
        self.any = True
        self._emit(text)
