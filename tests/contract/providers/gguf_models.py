"""A GGUF model whose worker is a stand-in, for the tests of `assistant.providers.gguf`."""

import asyncio
import os
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from assistant.contracts.errors import NanobotError
from assistant.contracts.messages import AssistantMessage
from assistant.contracts.models import EmbeddingProvider, ModelProvider, ModelRequest, Sampling
from assistant.providers.gguf.provider import open_gguf
from assistant.providers.gguf.request_queue import GgufLimits
from assistant.providers.settings import RegisteredModel

from .samples import unheard, user

WORKER = (sys.executable, str(Path(__file__).parent / "stand_in_worker.py"))
PATIENT = GgufLimits(queue=3, idle=60, load=30, stall=30, cancel=30, after_failure=60)


def asked(text: str, *, stream: bool = True, sampling: Sampling | None = None) -> ModelRequest:
    return ModelRequest(instructions=(), messages=(user(text),), stream=stream, sampling=sampling or Sampling())


class GgufModel:
    """A model file and its provider."""

    def __init__(self, folder: Path, name: str = "tiny.gguf", kind: str = "chat", limits: GgufLimits = PATIENT) -> None:
        self.file = folder / name
        self.file.write_bytes(b"GGUF")
        settings = RegisteredModel.model_validate({"path": str(self.file), "type": kind})
        self._writes, self._embeds = open_gguf("tiny", settings, folder, limits=limits, command=WORKER)

    @property
    def writes(self) -> ModelProvider:
        assert self._writes is not None
        return self._writes

    @property
    def embeds(self) -> EmbeddingProvider:
        assert self._embeds is not None
        return self._embeds

    @property
    def workers(self) -> list[int]:
        """Process ids of all workers started so far."""
        noted = Path(f"{self.file}.loads")
        return [int(line) for line in noted.read_text().split()] if noted.exists() else []

    async def ask(self, text: str) -> str:
        async with asyncio.timeout(30):
            return (await self.writes.complete(asked(text), unheard)).text

    def begin(self, text: str) -> tuple[asyncio.Task[AssistantMessage], asyncio.Event]:
        """A running request, and an event for its first piece of text."""
        heard = asyncio.Event()
        return asyncio.create_task(self.writes.complete(asked(text), lambda _, /, *, reasoning=False: heard.set())), heard

    async def close(self) -> None:
        for opened in (self._writes, self._embeds):
            if opened is not None:
                await opened.close()


Opens = Callable[..., GgufModel]
"""(file name, model type, limits), each with a default."""


def is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def has_gone(pid: int) -> None:
    """Returns once the process has ended and been reaped."""
    async with within():
        while is_there(pid):  # noqa: ASYNC110 - there is no event for the end of another process
            await asyncio.sleep(0.01)


@asynccontextmanager
async def within(seconds: float = 30) -> AsyncGenerator[None]:
    async with asyncio.timeout(seconds):
        yield


async def fails(call: Awaitable[object], error: type[NanobotError]) -> NanobotError:
    async with within():
        with pytest.raises(error) as caught:
            await call
    return caught.value
