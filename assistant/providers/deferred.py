"""A provider whose wire is loaded when it is first used: its HTTP client costs 0.1 to 0.3 s, which the start of the server need not wait for."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from assistant.contracts.messages import AssistantMessage
from assistant.contracts.models import EmbeddingProvider, Embeddings, ModelInfo, ModelProvider, ModelRequest

T = TypeVar("T")


class Opening(Generic[T]):
    """What `open_wire` gives, opened in a thread by the first call that needs it."""

    def __init__(self, open_wire: Callable[[], T]) -> None:
        self._open_wire = open_wire
        self._opening = asyncio.Lock()
        self.opened: T | None = None

    async def get(self) -> T:
        async with self._opening:
            if self.opened is None:
                self.opened = await asyncio.to_thread(self._open_wire)
            return self.opened


class DeferredProvider:
    """A ModelProvider that is opened when it is first used."""

    def __init__(self, info: ModelInfo, open_wire: Callable[[], ModelProvider]) -> None:
        self._info = info
        self._wire = Opening(open_wire)

    @property
    def info(self) -> ModelInfo:
        return self._info

    async def complete(self, request: ModelRequest, emit: Callable[[str], None]) -> AssistantMessage:
        return await (self._wire.opened or await self._wire.get()).complete(request, emit)

    async def probe(self) -> None:
        await (self._wire.opened or await self._wire.get()).probe()

    async def close(self) -> None:
        if self._wire.opened is not None:
            await self._wire.opened.close()


class DeferredEmbeddings:
    """An EmbeddingProvider that is opened when it is first used."""

    def __init__(self, info: ModelInfo, open_wire: Callable[[], EmbeddingProvider]) -> None:
        self._info = info
        self._wire = Opening(open_wire)

    @property
    def info(self) -> ModelInfo:
        return self._info

    async def embed(self, texts: Sequence[str], dimensions: int | None) -> Embeddings:
        return await (self._wire.opened or await self._wire.get()).embed(texts, dimensions)

    async def close(self) -> None:
        if self._wire.opened is not None:
            await self._wire.opened.close()
