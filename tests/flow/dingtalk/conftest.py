"""A DingTalk channel and its stand-in."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from assistant.testing.platform import RecordingLink, running
from tests.contract.plugins.test_dingtalk import DingTalkPlatform
from tests.doubles.dingtalk_server import DingTalkServer


@pytest.fixture
async def server() -> AsyncGenerator[DingTalkServer]:
    async with DingTalkServer() as server:
        yield server


@pytest.fixture
async def platform(server: DingTalkServer, tmp_path: Path) -> AsyncGenerator[DingTalkPlatform]:
    async with DingTalkPlatform(server, tmp_path) as platform:
        yield platform


@pytest.fixture
async def link(platform: DingTalkPlatform) -> AsyncGenerator[RecordingLink]:
    async with running(platform.channel) as link:
        yield link
