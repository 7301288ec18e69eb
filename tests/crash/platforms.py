"""The stand-ins, each on a thread of its own: they outlive every server, and their record is the reference."""

import asyncio
import threading
from collections.abc import Callable, Collection, Generator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from queue import Queue

from tests.crash.standins import STANDINS, Standin
from tests.doubles.discord_api.server import DiscordThread
from tests.doubles.model_server import ModelServer
from tests.doubles.telegram_api.server import TelegramServer
from tests.doubles.telegram_api.thread import telegram_in_thread

TELEGRAM_CHATS = 6
DISCORD_CHATS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Posted:
    """A message that a platform accepted."""

    chat: str
    """The lane: "telegram:101"."""
    mark: str
    """Its identity: on Discord the nonce, elsewhere the text as sent."""
    at: float
    """Seconds since 1970."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Platforms:
    model_url: str
    telegram: TelegramServer
    discord: DiscordThread
    telegram_chats: tuple[str, ...]
    discord_chats: tuple[str, ...]
    others: Mapping[str, Standin]

    @property
    def chats(self) -> Mapping[str, tuple[str, ...]]:
        """By channel."""
        others = {name: each.chats for name, each in self.others.items()}
        return {"telegram": self.telegram_chats, "discord": self.discord_chats, **others}

    @property
    def keyed(self) -> frozenset[str]:
        """The channels whose platforms take a key: nothing may arrive twice there."""
        return frozenset({"discord", *(name for name, each in self.others.items() if each.keyed)})

    def configuration(self) -> dict[str, object]:
        """Configuration of a server with access to every platform, no rate limits, and an obedient model."""
        return {
            "agents": {"defaults": {"provider": "custom", "model": "fake-model", "mayMessage": "any"}},
            "providers": {"custom": {"apiBase": self.model_url, "apiKey": "not-a-secret"}},
            "deliver": {"rateLimits": False, "receiptWait": 2},
            "channels": {
                "telegram": {"enabled": True, "token": self.telegram.token, "apiBase": self.telegram.url, "allowFrom": ["*"]},
                "discord": self.discord.do(lambda discord: discord.settings(allowFrom=["*"])),
                **{name: {"enabled": True, "allowFrom": ["*"], **each.settings} for name, each in self.others.items()},
            },
        }

    def say(self, channel: str, chat: int, text: str) -> None:
        """A person writes in one of the chats, with or without a running server."""
        if channel == "telegram":
            self.telegram.say(int(self.telegram_chats[chat]), text)
            return
        if channel in self.others:
            self.others[channel].say(self.others[channel].chats[chat], text)
            return
        chat_id = self.discord_chats[chat]
        self.discord.do(
            lambda discord: discord.world.write(discord.world.channels[chat_id], _recipient(discord.world.channels[chat_id]), text)
        )

    def posted(self) -> list[Posted]:
        """All accepted messages; in order within each chat."""
        telegram = [Posted(chat=f"telegram:{each.chat_id}", mark=each.source, at=each.at) for each in list(self.telegram.ledger)]
        ledger = self.discord.do(lambda discord: list(discord.world.ledger))
        discord = [Posted(chat=f"discord:{each.channel_id}", mark=each.nonce or each.content, at=each.at.timestamp()) for each in ledger]
        return telegram + discord + [posted for name, each in self.others.items() for posted in _posted(name, each)]


def _posted(channel: str, standin: Standin) -> list[Posted]:
    arrivals = standin.arrivals
    return [Posted(chat=f"{channel}:{each.chat_id}", mark=each.text, at=arrivals.at[each.id]) for each in list(arrivals.values())]


def _recipient(channel: dict[str, object]) -> dict[str, object]:
    recipients = channel["recipients"]
    assert isinstance(recipients, list)
    return recipients[0]  # pyright: ignore[reportUnknownVariableType] - Discord's own JSON


@contextmanager
def running_platforms(others: Collection[str] = ()) -> Generator[Platforms]:
    """Telegram, Discord, and those of `STANDINS`."""
    with ExitStack() as stack:
        model_url = stack.enter_context(_model_in_thread())
        telegram = stack.enter_context(telegram_in_thread())
        discord = stack.enter_context(DiscordThread())
        names = [f"person{number}" for number in range(DISCORD_CHATS)]
        channels = [discord.do(lambda api, name=name: api.world.dm(api.world.user(name))["id"]) for name in names]
        yield Platforms(
            model_url=model_url,
            telegram=telegram,
            discord=discord,
            telegram_chats=tuple(str(101 + number) for number in range(TELEGRAM_CHATS)),
            discord_chats=tuple(channels),
            others={name: stack.enter_context(STANDINS[name]()) for name in others},
        )


@contextmanager
def _model_in_thread() -> Generator[str]:
    ready: Queue[tuple[str, Callable[[], object]]] = Queue()

    async def serve() -> None:
        loop, stop = asyncio.get_running_loop(), asyncio.Event()
        async with ModelServer() as model:
            ready.put((model.url, lambda: loop.call_soon_threadsafe(stop.set)))
            await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name="model", daemon=True)
    thread.start()
    url, stop = ready.get(timeout=10)
    try:
        yield url
    finally:
        stop()
        thread.join(10)
