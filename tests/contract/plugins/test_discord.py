"""The Discord channel keeps the contract of a channel, with the real SDK against the stand-in."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from assistant.contracts.addresses import Address
from assistant.contracts.channels import ChannelContext
from assistant.testing.channel_suite import ChannelPlatform, ChannelSuite, Failure, FolderFiles
from channels.discord.adapter import DiscordChannel
from channels.discord.kind import KIND
from channels.discord.settings import DiscordSettings
from tests.doubles.discord_api.server import DiscordApi
from tests.flow.discord.conftest import QUICK


class DiscordPlatform(ChannelPlatform):
    """Its gateway has no acknowledgements: what was missed is fetched by the last message that was accepted."""

    kind = KIND
    bad_addresses = (Address(channel="discord", chat_id="general"),)
    receives = True

    def __init__(self, api: DiscordApi, folder: Path) -> None:
        self._api = api
        self.files = FolderFiles(folder)
        self._ada = api.world.user("ada")
        self._chat = api.world.dm(self._ada)
        self.address = Address(channel="discord", chat_id=self._chat["id"])
        self.settings = DiscordSettings.model_validate(api.settings())
        self.channel = DiscordChannel(self.settings, ChannelContext(files=self.files, version="1"), QUICK)

    def texts(self) -> list[str]:
        return [entry.content for entry in self._api.world.ledger]

    def fail(self, how: Failure) -> None:
        faults = self._api.faults
        match how:
            case "refuse":
                faults.add("answer", status=403, body={"message": "Missing Permissions", "code": 50013})
            case "limit":
                faults.too_many(30)
            case "lose":
                faults.add("reset_after")
            case "hold":
                faults.add("hang")

    def say(self, text: str) -> None:
        self._api.world.write(self._chat, self._ada, text)

    def acknowledged(self) -> bool:
        return False


class TestDiscord(ChannelSuite):
    @pytest.fixture
    async def platform(self, tmp_path: Path) -> AsyncGenerator[DiscordPlatform]:
        async with DiscordApi() as api:
            platform = DiscordPlatform(api, tmp_path)
            yield platform
            await platform.channel.close()
