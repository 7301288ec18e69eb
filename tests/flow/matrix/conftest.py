from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from tests.doubles.matrix_platform import MatrixPlatform
from tests.doubles.matrix_server import TOKEN, MatrixServer
from tests.flow.matrix.rig import Rig


@pytest.fixture
async def server() -> AsyncGenerator[MatrixServer]:
    async with MatrixServer() as server:
        yield server


@pytest.fixture
async def rig(server: MatrixServer, tmp_path: Path) -> AsyncGenerator[Rig]:
    made: list[MatrixPlatform] = []

    def make(**more: Any) -> MatrixPlatform:
        made.append(MatrixPlatform(server, tmp_path, **{"accessToken": TOKEN, **more}))
        return made[-1]

    yield make
    for each in made:
        await each.channel.close()
