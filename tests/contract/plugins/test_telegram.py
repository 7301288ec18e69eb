"""The Telegram channel keeps the contract of a channel, with the real SDK against the stand-in."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from assistant.contracts.addresses import Address
from assistant.contracts.channels import ChannelContext
from assistant.testing.channel_suite import ChannelPlatform, ChannelSuite, Failure, FolderFiles, Said
from channels.telegram.adapter import TelegramChannel
from channels.telegram.kind import KIND
from channels.telegram.settings import TelegramSettings
from tests.doubles.telegram_api.faults import Fault
from tests.doubles.telegram_api.server import TelegramServer

FAULTS: dict[Failure, Fault] = {
    "refuse": Fault(code=400, description="Bad Request: chat not found"),
    "limit": Fault.flood(30),
    "lose": Fault(kind="reset_after"),
    "hold": Fault(kind="hang_before"),
}


class TelegramPlatform(ChannelPlatform):
    kind = KIND
    address = Address(channel="telegram", chat_id="42")
    bad_addresses = (Address(channel="telegram", chat_id="Ada"), Address(channel="telegram", chat_id="42", thread_id="-1"))
    receives = True

    def __init__(self, server: TelegramServer, folder: Path) -> None:
        self._server = server
        self.files = FolderFiles(folder)
        self.settings = TelegramSettings.model_validate({"enabled": True, "token": server.token, "apiBase": server.url})
        self.channel = TelegramChannel(self.settings, ChannelContext(files=self.files, version="1"))

    def texts(self) -> list[str]:
        return self._server.texts(42)

    def fail(self, how: Failure) -> None:
        fault = FAULTS[how]
        self._server.fail(Fault(kind=fault.kind, code=fault.code, description=fault.description, retry_after=fault.retry_after))

    def write(self, said: Said) -> str:
        return str(self._server.say(42, said.text))

    def acknowledged(self) -> bool:
        return not self._server.updates


class TestTelegram(ChannelSuite):
    @pytest.fixture
    async def platform(self, tmp_path: Path) -> AsyncGenerator[TelegramPlatform]:
        async with TelegramServer() as server:
            platform = TelegramPlatform(server, tmp_path)
            yield platform
            await platform.channel.close()
