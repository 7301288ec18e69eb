"""To a person, by the real server: blocked on Telegram, it arrives on Discord and says so; also where the server is killed in between."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from assistant.contracts.addresses import Address
from assistant.contracts.inbox import InboundMessage, Sender, SessionRef
from assistant.contracts.util import utc_now
from assistant.store.database import StoreSettings
from assistant.store.store import open_store
from tests.doubles.discord_api.server import DiscordApi
from tests.doubles.live_server import LiveServer, ServerFailed, live_server, offline
from tests.doubles.telegram_api.faults import Fault
from tests.doubles.telegram_api.server import TelegramServer
from tests.flow.nanobot_process import Nanobot

ANNA = 42
NOTE = "(Could not be delivered on Telegram: Telegram refused it: bot was blocked by the user (they have to unblock it in Telegram).)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    telegram: TelegramServer
    discord: DiscordApi
    nanobot: Nanobot
    user: dict[str, Any]
    """Anna, on Discord."""
    config: dict[str, object]
    folder: Path

    @asynccontextmanager
    async def server(self, crash_at: str = "") -> AsyncGenerator[LiveServer]:
        """One that is killed ends by itself."""
        opened = live_server(self.folder, config=self.config, program="tests.crash.server", env={"CRASH_AT": crash_at})
        running = await asyncio.to_thread(opened.__enter__)
        try:
            yield running
        finally:
            try:
                await asyncio.to_thread(opened.__exit__, None, None, None)
            except ServerFailed:
                assert crash_at

    async def command(self, *arguments: str) -> str:
        done = await asyncio.to_thread(self.nanobot, *arguments)
        return done.stdout + done.stderr

    @property
    def arrived(self) -> list[str]:
        return [entry.content for entry in self.discord.world.ledger]

    async def joined(self) -> None:
        """Anna wrote from Discord, then from Telegram, and is one person."""
        world = self.discord.world
        await self.discord.until(lambda: self.discord.gateway.identified, 20)
        world.write(world.dm(self.user), self.user, "/id")
        await self.discord.until(lambda: len(world.ledger) == 1, 20)
        self.telegram.say(ANNA, "/id")
        await self.telegram.until(lambda: len(self.telegram.texts(ANNA)) == 1, 20)
        assert "belongs to" in await self.command("people", "link", f"telegram:{ANNA}", f"discord:{self.user['id']}")
        await self.command("people", "name", f"telegram:{ANNA}", "Anna")
        world.ledger.clear()

    async def known(self) -> None:
        """As if a server had heard Anna from both."""
        world = self.discord.world
        chats = (f"discord:{self.user['id']}", world.dm(self.user)["id"]), (f"telegram:{ANNA}", str(ANNA))
        store = await open_store(StoreSettings(), self.folder)
        for identity, chat in chats:
            channel, _, sender = identity.partition(":")
            person = await store.people.of(identity, "Anna")
            message = InboundMessage(
                external_id="1",
                address=Address(channel=channel, chat_id=chat),
                sender=Sender(id=sender, name="Anna"),
                private=True,
                text="/id",
                at=utc_now(),
            )
            await store.inbox.accept(message, SessionRef(owner=person, session=f"{channel}:{chat}", role="user"), answered=True)
        await store.links.join(chats[0][0], chats[1][0])
        await store.close()

    async def until(self, holds: Callable[[], bool]) -> None:
        await self.discord.until(holds, 20)


@pytest.fixture
async def home(tmp_path: Path) -> AsyncGenerator[Home]:
    async with TelegramServer() as telegram, DiscordApi() as discord:
        user = discord.world.user("anna")
        channels = {
            "telegram": {"enabled": True, "token": telegram.token, "apiBase": telegram.url, "allowFrom": [str(ANNA)]},
            "discord": discord.settings(allowFrom=[user["id"]]),
        }
        folder = tmp_path / "home"
        nanobot = Nanobot(folder=tmp_path, env={"NANOBOT_CONFIG": str(folder / "config.json")})
        yield Home(
            telegram=telegram, discord=discord, nanobot=nanobot, user=user, config={**offline(), "channels": channels}, folder=folder
        )


async def test_what_telegram_refuses_arrives_on_discord_and_says_so(home: Home) -> None:
    async with home.server():
        await home.joined()
        assert "sent (message" in await home.command("send", "anna", "hello")
        assert home.telegram.texts(ANNA)[-1] == "hello"
        home.telegram.fail(Fault.blocked(ANNA))
        told = await home.command("send", "anna", "Dinner is ready.")
        assert "sent (message" in told
        assert "before, it could not be delivered on telegram" in told
        assert home.arrived == [f"Dinner is ready.\n\n{NOTE}"]
        second = told.split()[0]
        shown = await home.command("deliveries", "show", second)
        first = next(line.split()[1].rstrip(",") for line in shown.splitlines() if line.startswith("after "))
        assert f"then     {second} to discord:" in await home.command("deliveries", "show", first)
        # A reminder to her, and one that was made for the chat that is blocked now.
        await home.command("people", "prefer", "anna", f"telegram:{ANNA}")
        for to in ("anna", f"telegram:{ANNA}"):
            made = await home.command("schedule", "add", "tomorrow at 9:00", f"stretch {to}", "--to", to, "--person", f"telegram:{ANNA}")
            schedule = made.split()[0]
            await home.command("schedule", "run", schedule)
            await home.until(lambda to=to: any(f"stretch {to}\n\n{NOTE}" in each for each in home.arrived))
            assert "delivered" in await home.command("schedule", "show", schedule)


@pytest.mark.parametrize("where", ["settle.before:1", "settle.after:1", "send.after:1"])
async def test_a_kill_between_the_two_channels_loses_and_doubles_nothing(home: Home, where: str) -> None:
    await home.known()
    home.config["deliver"] = {"receiptWait": 0}
    home.telegram.fail(Fault.blocked(ANNA))
    async with home.server(where) as server:
        await home.command("send", "anna", "Dinner is ready.")
        await asyncio.to_thread(server.process.wait, 20)
    async with home.server():
        await home.until(lambda: len(home.arrived) >= 1)
        async with asyncio.timeout(20):
            while '"state":"sent"' not in (states := await home.command("deliveries", "list", "--json")):
                pass
    assert home.arrived == [f"Dinner is ready.\n\n{NOTE}"]
    assert states.count('"state":"failed"') == 1
