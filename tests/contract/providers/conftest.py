from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path

import pytest

from assistant.providers.gguf.engine import Limits
from assistant.testing.model_server import ModelServer

from .gguf_house import PATIENT, House, Opens, is_there


@pytest.fixture
async def server() -> AsyncIterator[ModelServer]:
    async with ModelServer() as running:
        yield running


@pytest.fixture
async def opens(tmp_path: Path) -> AsyncGenerator[Opens]:
    made: list[House] = []

    def opened(name: str = "tiny.gguf", kind: str = "chat", limits: Limits = PATIENT) -> House:
        made.append(House(tmp_path, name, kind, limits))
        return made[-1]

    yield opened
    for house in made:
        await house.close()
        assert [pid for pid in house.workers if is_there(pid)] == []
