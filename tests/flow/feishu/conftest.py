"""A Feishu channel and its stand-in."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from assistant.testing.platform import RecordingLink, running
from tests.contract.plugins.test_feishu import FeishuPlatform
from tests.doubles.feishu_server import FeishuServer


@pytest.fixture
async def server() -> AsyncGenerator[FeishuServer]:
    async with FeishuServer() as server:
        yield server


@pytest.fixture
async def platform(server: FeishuServer, tmp_path: Path) -> AsyncGenerator[FeishuPlatform]:
    async with FeishuPlatform(server, tmp_path) as platform:
        yield platform


@pytest.fixture
async def link(platform: FeishuPlatform) -> AsyncGenerator[RecordingLink]:
    async with running(platform.channel) as link:
        yield link
