from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path

import pytest

from assistant.providers.gguf.request_queue import GgufLimits
from tests.doubles.model_server import ModelServer

from .gguf_models import PATIENT, GgufModel, Opens, is_there


@pytest.fixture
async def server() -> AsyncIterator[ModelServer]:
    async with ModelServer() as running:
        yield running


@pytest.fixture
async def opens(tmp_path: Path) -> AsyncGenerator[Opens]:
    made: list[GgufModel] = []

    def opened(name: str = "tiny.gguf", kind: str = "chat", limits: GgufLimits = PATIENT) -> GgufModel:
        made.append(GgufModel(tmp_path, name, kind, limits))
        return made[-1]

    yield opened
    for model in made:
        await model.close()
        assert [pid for pid in model.workers if is_there(pid)] == []
