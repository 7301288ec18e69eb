"""The IRC channel keeps the contract of a channel, against a stand-in with IRCv3. tests/flow/irc has the same against a real ngircd."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from assistant.testing.channel_suite import ChannelSuite
from tests.doubles.irc_platform import IrcPlatform
from tests.doubles.irc_server import IrcServer


class TestIrc(ChannelSuite):
    @pytest.fixture
    async def platform(self, tmp_path: Path) -> AsyncGenerator[IrcPlatform]:
        async with IrcServer() as server, IrcPlatform(server, tmp_path) as platform:
            yield platform
