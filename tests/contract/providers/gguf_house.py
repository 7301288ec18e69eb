"""A file with a stand-in for its worker, as the tests of models that are files ask it."""

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
from assistant.providers.gguf.engine import Limits
from assistant.providers.gguf.provider import open_gguf
from assistant.providers.settings import RegisteredModel

from .samples import unheard, user

WORKER = (sys.executable, str(Path(__file__).parent / "stand_in_worker.py"))
PATIENT = Limits(queue=3, idle=60, load=30, silence=30, obey=30, after_failure=60)


def asked(text: str, *, stream: bool = True, sampling: Sampling | None = None) -> ModelRequest:
    return ModelRequest(instructions=(), messages=(user(text),), stream=stream, sampling=sampling or Sampling())


class House:
    """A file, and what answers for it."""

    def __init__(self, folder: Path, name: str = "tiny.gguf", kind: str = "chat", limits: Limits = PATIENT) -> None:
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
        """The ids of all that were ever started."""
        noted = Path(f"{self.file}.loads")
        return [int(line) for line in noted.read_text().split()] if noted.exists() else []

    async def ask(self, text: str) -> str:
        async with asyncio.timeout(30):
            return (await self.writes.complete(asked(text), unheard)).text

    def begin(self, text: str) -> tuple[asyncio.Task[AssistantMessage], asyncio.Event]:
        """An answer that is under way, and whether its first words came."""
        heard = asyncio.Event()
        return asyncio.create_task(self.writes.complete(asked(text), lambda _: heard.set())), heard

    async def close(self) -> None:
        for opened in (self._writes, self._embeds):
            if opened is not None:
                await opened.close()


Opens = Callable[..., House]
"""(the file's name, the model's type, limits): all with a default."""


def is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def has_gone(pid: int) -> None:
    """Until it has ended and was reaped."""
    async with within():
        while is_there(pid):  # noqa: ASYNC110 - nothing rings when another process is reaped
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
