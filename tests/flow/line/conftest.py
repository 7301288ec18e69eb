"""A LINE channel and its stand-in."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from assistant.testing.platform import RecordingLink, running
from tests.contract.plugins.test_line import LinePlatform
from tests.doubles.line_server import LineServer


@pytest.fixture
async def server() -> AsyncGenerator[LineServer]:
    async with LineServer() as server:
        yield server


@pytest.fixture
async def platform(server: LineServer, tmp_path: Path) -> AsyncGenerator[LinePlatform]:
    async with LinePlatform(server, tmp_path) as platform:
        yield platform


@pytest.fixture
async def link(platform: LinePlatform) -> AsyncGenerator[RecordingLink]:
    async with running(platform.channel) as link:
        yield link
