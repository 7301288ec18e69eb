"""The Matrix channel keeps the contract of a channel, against a stand-in that answers as the specification says.

tests/flow/matrix has the same against a real Synapse.
"""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from assistant.testing.channel_suite import ChannelSuite
from tests.doubles.matrix_platform import MatrixPlatform
from tests.doubles.matrix_server import MatrixServer


class TestMatrix(ChannelSuite):
    @pytest.fixture
    async def platform(self, tmp_path: Path) -> AsyncGenerator[MatrixPlatform]:
        async with MatrixServer() as server, MatrixPlatform(server, tmp_path) as platform:
            yield platform
