"""An SMS channel and its stand-in for Twilio."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from assistant.testing.platform import RecordingLink, running
from tests.contract.plugins.test_sms import SmsPlatform
from tests.doubles.twilio_server import TwilioServer


@pytest.fixture
async def twilio() -> AsyncGenerator[TwilioServer]:
    async with TwilioServer() as server:
        yield server


@pytest.fixture
async def platform(twilio: TwilioServer, tmp_path: Path) -> AsyncGenerator[SmsPlatform]:
    async with SmsPlatform(twilio, tmp_path) as platform:
        yield platform


@pytest.fixture
async def link(platform: SmsPlatform) -> AsyncGenerator[RecordingLink]:
    async with running(platform.channel) as link:
        yield link
