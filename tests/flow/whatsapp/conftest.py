"""A WhatsApp channel, its stand-in, and the calls that Meta makes."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from assistant.testing.platform import RecordingLink, running
from tests.contract.plugins.test_whatsapp import WhatsAppPlatform
from tests.doubles.whatsapp_server import WhatsAppServer


@pytest.fixture
async def whatsapp() -> AsyncGenerator[WhatsAppServer]:
    async with WhatsAppServer() as server:
        yield server


@pytest.fixture
async def platform(whatsapp: WhatsAppServer, tmp_path: Path) -> AsyncGenerator[WhatsAppPlatform]:
    async with WhatsAppPlatform(whatsapp, tmp_path) as platform:
        yield platform


@pytest.fixture
async def link(platform: WhatsAppPlatform) -> AsyncGenerator[RecordingLink]:
    async with running(platform.channel) as link:
        yield link
