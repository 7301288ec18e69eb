"""The e-mail channel keeps the contract of a channel, against a real dovecot and an SMTP server that fails as it is told to."""

from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import pytest

from assistant.testing.channel_suite import ChannelSuite
from tests.doubles.dovecot import MISSING, Dovecot, running_dovecot
from tests.doubles.live_server import free_port
from tests.flow.email.rig import EmailPlatform, email_platform


@pytest.fixture(scope="module")
def dovecot() -> Generator[Dovecot]:
    if MISSING:
        pytest.skip(MISSING)
    with running_dovecot((free_port(), free_port())) as dovecot:
        yield dovecot


class TestEmail(ChannelSuite):
    @pytest.fixture
    async def platform(self, dovecot: Dovecot, tmp_path: Path) -> AsyncGenerator[EmailPlatform]:
        async with email_platform(dovecot, tmp_path) as platform:
            yield platform
