"""What providers list themselves (`providers.<name>.list`), remembered for some minutes. A model is named `<provider>/<its id there>`."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from assistant.contracts.errors import ModelNotFound, NanobotError
from assistant.contracts.models import ListedModel

log = logging.getLogger(__name__)

Ask = Callable[[], Awaitable[Sequence[str]]]
"""The ids that a provider lists. Raises what ModelProvider raises."""
_REMEMBERED: Final = 300.0
_AFTER_FAILURE: Final = 30.0
"""Seconds until a provider that failed is asked again."""
_PATIENCE: Final = 10.0
"""Seconds that a provider may take."""
_NOT_FOR_CHAT: Final = ("embed", "rerank", "whisper", "tts", "dall-e", "moderation", "transcribe")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A model of a provider's, as it is called there."""

    listed: ListedModel
    provider: str
    model: str
    sure: bool
    """Whether the provider lists it; else nobody knows."""


class ListedModels:
    """The lists of several providers, each asked at most once in five minutes."""

    def __init__(self, providers: Mapping[str, Ask], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._lists = {name: _List(name, ask, clock) for name, ask in providers.items()}

    async def all(self) -> Sequence[ListedModel]:
        """What can be had; of a provider that fails, what it listed before. All are asked at once."""
        lists = await asyncio.gather(*[one.ids() for one in self._lists.values()])
        return [_listed(name, model) for name, models in zip(self._lists, lists, strict=True) for model in models or ()]

    async def find(self, model_id: str) -> Found:
        """Raises ModelNotFound. Where a provider's list was never had, the provider itself is left to say whether it has such a model."""
        provider, slash, model = model_id.partition("/")
        wanted = self._lists.get(provider)
        ids = await wanted.ids() if wanted is not None else ()
        if not slash or not model or (ids is not None and model not in ids):
            raise ModelNotFound(f"There is no model '{model_id[:100]}' here. GET /v1/models lists those there are.", param="model")
        return Found(listed=_listed(provider, model), provider=provider, model=model, sure=ids is not None)


class _List:
    def __init__(self, provider: str, ask: Ask, clock: Callable[[], float]) -> None:
        self._provider = provider
        self._ask = ask
        self._clock = clock
        self._ids: Sequence[str] | None = None
        self._due = float("-inf")
        self._failed = False
        self._asking: asyncio.Task[None] | None = None

    async def ids(self) -> Sequence[str] | None:
        """The last list that was had; None: there was none. A provider that failed before is not waited for."""
        if self._asking is None and self._clock() >= self._due:
            self._asking = asyncio.create_task(self._renew())
        if self._asking is not None and not self._failed:
            await asyncio.wait([self._asking])
        return self._ids

    async def _renew(self) -> None:
        try:
            async with asyncio.timeout(_PATIENCE):
                found = await self._ask()
            self._ids = [model for model in found if not any(word in model.lower() for word in _NOT_FOR_CHAT)]
            self._failed = False
        except (NanobotError, TimeoutError) as error:
            code = error.code if isinstance(error, NanobotError) else "provider_timeout"
            log.warning("models.not_listed provider=%s code=%s", self._provider, code)
            self._failed = True
        finally:
            self._due = self._clock() + (_AFTER_FAILURE if self._failed else _REMEMBERED)
            self._asking = None


def _listed(provider: str, model: str) -> ListedModel:
    return ListedModel(id=f"{provider}/{model}", type="chat", provider=provider)
