"""A provider whose wire is loaded when it is first used: its HTTP client costs 0.1 to 0.3 s, which the start of the server need not wait for."""

import asyncio
from collections.abc import Callable

from assistant.contracts.messages import AssistantMessage
from assistant.contracts.models import ModelInfo, ModelProvider, ModelRequest


class DeferredProvider:
    """What `open_wire` gives, opened in a thread by the first call that needs it."""

    def __init__(self, info: ModelInfo, open_wire: Callable[[], ModelProvider]) -> None:
        self._info = info
        self._open_wire = open_wire
        self._opening = asyncio.Lock()
        self._opened: ModelProvider | None = None

    @property
    def info(self) -> ModelInfo:
        return self._info

    async def complete(self, request: ModelRequest, emit: Callable[[str], None]) -> AssistantMessage:
        return await (self._opened or await self._open()).complete(request, emit)

    async def probe(self) -> None:
        await (self._opened or await self._open()).probe()

    async def close(self) -> None:
        if self._opened is not None:
            await self._opened.close()

    async def _open(self) -> ModelProvider:
        async with self._opening:
            if self._opened is None:
                self._opened = await asyncio.to_thread(self._open_wire)
            return self._opened
