"""Retry and fallback: calls models in order, each again after a transient failure, until one answers."""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, TypeVar

from assistant.contracts.errors import ContextLengthExceeded, NanobotError, ProviderFailed, ProviderTimeout
from assistant.contracts.messages import AssistantMessage
from assistant.contracts.models import EmitText, ModelInfo, ModelProvider, ModelRequest
from assistant.contracts.records import record
from assistant.contracts.util import backoff
from assistant.providers.ladder import PromptLadder, TextRelay

T = TypeVar("T")

_PATIENCE: Final = 20.0
"""Seconds. A provider that asks for a longer wait is not asked again: the caller gets its error, with the wait."""
_THRESHOLD: Final = 3
_COOLDOWN: Final = 60.0

log = logging.getLogger(__name__)


@record
class RetryPolicy:
    """When a failed call is repeated, and after how long: up to `repeats` times, after up to 0.5 s, then up to 1 s (full jitter), or as
    `Retry-After` says. Never after a timeout, which has used up the caller's time, and never once text was passed on."""

    repeats: int = 2
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    jitter: Callable[[], float] = random.random
    """A number from 0 to 1: the part of the longest delay that is waited."""

    async def run(self, provider: str, call: Callable[[], Awaitable[T]], relay: TextRelay | None = None) -> T:
        """The result of `call`. Raises its last error."""
        for attempt in range(1, self.repeats + 1):
            try:
                return await call()
            except ProviderFailed as error:
                delay = self._delay(error, attempt)
                if delay is None or (relay is not None and relay.started):
                    raise
                log.warning("provider.retry provider=%s code=%s attempt=%d delay=%.2f", provider, error.code, attempt, delay)
            await self.sleep(delay)
        return await call()

    def _delay(self, error: ProviderFailed, attempt: int) -> float | None:
        """Seconds until the next attempt; None: do not repeat."""
        if not error.retryable or isinstance(error, ProviderTimeout):
            return None
        if error.retry_after is None:
            return backoff(attempt, self.jitter(), first=0.5, longest=8.0, spread=1.0)
        return error.retry_after if error.retry_after <= _PATIENCE else None


@dataclass(slots=True)
class ModelLink:
    """One model of a chain: its failures in a row, and until when (on the clock) the others go first."""

    wire: PromptLadder
    failures: int = 0
    last_until: float = float("-inf")


class ModelChain:
    """A ModelProvider over one or more: retries each by the policy, and falls back to the next while no text was passed on.

    After three failures in a row a model is tried last for a minute, but never skipped, so a single working one is always found. If all
    fail, the error is that of the first one asked. Each gets the prompt in its own form (`ladder`), be it the context or what it can see.
    """

    def __init__(
        self, wires: Sequence[ModelProvider], retry: RetryPolicy | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`wires`: at least one, the preferred first."""
        self._links = [ModelLink(PromptLadder(wire, fits=place > 0)) for place, wire in enumerate(wires)]
        self.info = self._facts()
        self._retry = retry or RetryPolicy()
        self._clock = clock

    async def complete(self, request: ModelRequest, emit: EmitText) -> AssistantMessage:
        first_error: NanobotError | None = None
        relay = TextRelay(emit)
        now = self._clock()
        for link in self._links if len(self._links) == 1 else sorted(self._links, key=lambda link: link.last_until > now):
            info = link.wire.model.info
            try:
                message = await self._retry.run(info.provider, partial(link.wire.complete, request, relay), relay)
            except (ContextLengthExceeded, ProviderFailed) as error:
                if not isinstance(error, ContextLengthExceeded):
                    link.failures += 1
                    link.last_until = self._clock() + _COOLDOWN if link.failures >= _THRESHOLD else link.last_until
                if relay.started or len(self._links) == 1:
                    raise
                log.warning("provider.fallback provider=%s model=%s code=%s", info.provider, info.id, error.code)
                first_error = first_error or error
            else:
                link.failures = 0
                return message
            finally:
                if link.wire.learned:
                    self.info = self._facts()
        assert first_error is not None, "a chain has at least one model"
        raise first_error

    def _facts(self) -> ModelInfo:
        """The first model's facts, as they are known now. Pictures are taken where any of them takes them."""
        info = self._links[0].wire.info
        return info if info.vision else replace(info, vision=any(link.wire.info.vision for link in self._links))

    async def probe(self) -> None:
        first_error: ProviderFailed | None = None
        for link in self._links:
            try:
                return await link.wire.model.probe()
            except ProviderFailed as error:
                first_error = first_error or error
        assert first_error is not None, "a chain has at least one model"
        raise first_error

    async def close(self) -> None:
        for link in self._links:
            await link.wire.model.close()


class ReplaceableModel:
    """A ModelProvider that stands for another, which may be replaced while calls run: they end with the one that they began with."""

    def __init__(self, model: ModelProvider) -> None:
        self._model = model
        self._replaced: list[ModelProvider] = []
        self.complete = model.complete

    @property
    def info(self) -> ModelInfo:
        return self._model.info

    async def probe(self) -> None:
        await self._model.probe()

    def replace(self, model: ModelProvider) -> None:
        """Later calls are the new one's. The old one stays open for those that run, and is closed with this."""
        self._replaced.append(self._model)
        self._model, self.complete = model, model.complete

    async def close(self) -> None:
        for model in (self._model, *self._replaced):
            await model.close()
