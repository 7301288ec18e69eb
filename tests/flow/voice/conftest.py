from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from tests.doubles.speech_server import SpeechServer


@pytest.fixture
async def speech() -> AsyncGenerator[SpeechServer]:
    async with SpeechServer() as server:
        yield server


@pytest.fixture
def sqlite(tmp_path: Path) -> str:
    """The store of a test that is about none."""
    return f"sqlite:///{tmp_path / 'nanobot.db'}"
