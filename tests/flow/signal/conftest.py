"""A Signal channel and its stand-in, by HTTP."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from assistant.testing.platform import RecordingLink, running
from tests.contract.plugins.test_signal import SignalPlatform
from tests.doubles.signal_server import SignalServer


@pytest.fixture
async def cli() -> AsyncGenerator[SignalServer]:
    async with SignalServer() as server:
        yield server


@pytest.fixture
async def platform(cli: SignalServer, tmp_path: Path) -> AsyncGenerator[SignalPlatform]:
    async with SignalPlatform(cli, tmp_path, cli.url) as platform:
        yield platform


@pytest.fixture
async def link(platform: SignalPlatform) -> AsyncGenerator[RecordingLink]:
    async with running(platform.channel) as link:
        yield link
