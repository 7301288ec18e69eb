from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from tests.doubles.telegram_api.server import TelegramServer
from tests.flow.telegram.rig import Rig


@pytest.fixture
async def server() -> AsyncGenerator[TelegramServer]:
    async with TelegramServer() as server:
        yield server


@pytest.fixture
async def rig(server: TelegramServer, tmp_path: Path) -> AsyncGenerator[Rig]:
    rig = Rig(server, tmp_path)
    yield rig
    await rig.stop()
