"""A provider around several: goes to the next model when one fails before anybody has heard a word of it."""

import logging
import time
from collections.abc import Callable, Sequence

from assistant.contracts.errors import ContextLengthExceeded, NanobotError, ProviderFailed
from assistant.contracts.messages import AssistantMessage
from assistant.contracts.models import ModelInfo, ModelProvider, ModelRequest
from assistant.providers.retry import Heard

_THRESHOLD = 3
_COOLDOWN = 60.0

log = logging.getLogger(__name__)


class Candidate:
    """A provider and how it has fared: `failures` in a row, and until when (on the clock) it is asked only after the others."""

    __slots__ = ("failures", "provider", "shunned_until")

    def __init__(self, provider: ModelProvider) -> None:
        self.provider = provider
        self.failures = 0
        self.shunned_until = float("-inf")


class FallbackProvider:
    """The first of several that answers.

    After three failures in a row a provider is asked last for a minute; it is never left out, so the only one that works is always found.
    If all fail, the error is that of the one asked first. A conversation too long for one goes to those with a larger context only.
    """

    def __init__(self, providers: Sequence[ModelProvider], *, clock: Callable[[], float] = time.monotonic) -> None:
        """`providers`: at least one, the preferred first."""
        self._candidates = [Candidate(provider) for provider in providers]
        self._clock = clock

    @property
    def info(self) -> ModelInfo:
        return self._candidates[0].provider.info

    async def complete(self, request: ModelRequest, emit: Callable[[str], None]) -> AssistantMessage:
        first_error: NanobotError | None = None
        smallest = 0
        heard = Heard(emit)
        for candidate in self._in_order():
            info = candidate.provider.info
            if info.context_tokens <= smallest:
                continue
            try:
                message = await candidate.provider.complete(request, heard)
            except ContextLengthExceeded as error:
                if heard.any:
                    raise
                smallest = info.context_tokens
                first_error = first_error or error
            except ProviderFailed as error:
                self._note_failure(candidate)
                if heard.any:
                    raise
                log.warning("provider.fallback provider=%s model=%s code=%s", info.provider, info.id, error.code)
                first_error = first_error or error
            else:
                candidate.failures = 0
                return message
        assert first_error is not None, "a fallback has at least one provider"
        raise first_error

    async def probe(self) -> None:
        first_error: ProviderFailed | None = None
        for candidate in self._candidates:
            try:
                return await candidate.provider.probe()
            except ProviderFailed as error:
                first_error = first_error or error
        assert first_error is not None, "a fallback has at least one provider"
        raise first_error

    async def close(self) -> None:
        for candidate in self._candidates:
            await candidate.provider.close()

    def _in_order(self) -> list[Candidate]:
        now = self._clock()
        return sorted(self._candidates, key=lambda candidate: candidate.shunned_until > now)

    def _note_failure(self, candidate: Candidate) -> None:
        candidate.failures += 1
        if candidate.failures >= _THRESHOLD:
            candidate.shunned_until = self._clock() + _COOLDOWN
