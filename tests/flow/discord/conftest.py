"""The adapter, with the real discord.py, against the stand-in."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from assistant.contracts.addresses import Address
from assistant.contracts.channels import ChannelContext, ChannelFailed, Sending
from assistant.contracts.errors import StoreUnavailable
from assistant.contracts.inbox import InboundMessage
from assistant.contracts.outbox import Origin, OutboundEvent, OutboundPart
from channels.discord.adapter import DiscordChannel
from channels.discord.rest import Waits
from channels.discord.settings import DiscordSettings
from tests.doubles.discord_api.server import DiscordApi
from tests.flow.media_folder import MediaFolder

QUICK = Waits(send=30, ready=30, lost=30, identify=0.05, again=0.02, guilds=0.05, answerable=30)


class Kept:
    """The inbox, as far as the adapter sees it: keeps what it accepts, once by its id."""

    def __init__(self) -> None:
        self.messages: dict[str, InboundMessage] = {}
        self.states: list[tuple[str, str]] = []
        self.unavailable = 0
        """How many more calls of `accept` fail."""
        self.bug_at: str | None = None
        """`accept` of this text meets a bug."""
        self.before: dict[str, str] = {}
        """chat → external id, of an earlier process."""
        self._changed = asyncio.Event()

    async def accept(self, message: InboundMessage) -> str:
        if self.unavailable:
            self.unavailable -= 1
            raise StoreUnavailable
        if message.text == self.bug_at:
            raise ZeroDivisionError
        if message.external_id not in self.before.values():
            self.messages.setdefault(message.external_id, message)
        self._changed.set()
        return f"inb_{message.external_id}"

    async def undelivered(self, message_id: str, code: str, words: str) -> None:
        raise NotImplementedError

    async def delivered(self, message_id: str, read: bool = False) -> None:
        raise NotImplementedError

    async def last_seen(self) -> Mapping[str, str]:
        return {**self.before, **{message.address.chat_id: each for each, message in self.messages.items()}}

    async def moved(self, chat_id: str, now: str) -> None:
        raise NotImplementedError

    def connected(self, detail: str = "") -> None:
        self.states.append(("connected", detail))
        self._changed.set()

    def degraded(self, why: str) -> None:
        self.states.append(("degraded", why))
        self._changed.set()

    @property
    def texts(self) -> list[str]:
        return [message.text for message in self.messages.values()]

    async def until(self, holds: Callable[[], object], within: float = 30) -> None:
        async with asyncio.timeout(within):
            while not holds():
                self._changed.clear()
                await self._changed.wait()

    async def has(self, *texts: str) -> list[InboundMessage]:
        """Wait for exactly these."""
        await self.until(lambda: len(self.messages) >= len(texts))
        assert self.texts == list(texts)
        return list(self.messages.values())


@dataclass(slots=True)
class Rig:
    """The stand-in, the adapter, and what it keeps."""

    api: DiscordApi
    media: MediaFolder

    @asynccontextmanager
    async def open(self, waits: Waits = QUICK, **more: object) -> AsyncGenerator[DiscordChannel]:
        """An adapter that only sends."""
        settings = DiscordSettings.model_validate(self.api.settings(**more))
        channel = DiscordChannel(settings, ChannelContext(files=self.media, version="1"), waits)
        try:
            yield channel
        finally:
            await channel.close()

    @asynccontextmanager
    async def running(self, kept: Kept | None = None, **more: Any) -> AsyncGenerator[tuple[DiscordChannel, Kept]]:
        """One that is connected, and taking in."""
        link = kept or Kept()
        sessions = len(self.api.gateway.identified)
        async with self.open(**more) as channel:
            run = asyncio.create_task(channel.run(link))
            try:
                await self.api.until(lambda: len(self.api.gateway.identified) > sessions)
                await link.until(lambda: link.states)
                yield channel, link
            finally:
                run.cancel()
                results = await asyncio.gather(run, return_exceptions=True)
            assert isinstance(results[0], asyncio.CancelledError), results

    async def failing(self, kept: Kept | None = None, **more: Any) -> ChannelFailed:
        """What `run` raises."""
        async with self.open(**more) as channel:
            with pytest.raises(ChannelFailed) as failed:
                async with asyncio.timeout(60):
                    await channel.run(kept or Kept())
        return failed.value


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncGenerator[Rig]:
    async with DiscordApi() as api:
        yield Rig(api, MediaFolder(tmp_path))


def event(text: str, **more: Any) -> OutboundEvent:
    return OutboundEvent(
        id="evt_1",
        address=Address(channel="discord", chat_id="1"),
        text=text,
        expires_at=datetime.now(UTC) + timedelta(days=1),
        origin=Origin(kind="cli", owner="owner"),
        **more,
    )


def sending(chat: dict[str, Any] | str, text: str = "Hello.", *, thread: str | None = None, **more: Any) -> Sending:
    part = more.pop("part", OutboundPart(text=text, plain=text))
    chat_id = chat if isinstance(chat, str) else chat["id"]
    made = Sending(
        address=Address(channel="discord", chat_id=chat_id, thread_id=thread),
        part=part,
        place=0,
        key="key1",
        reply_to=None,
        replaces=None,
        again=None,
    )
    return replace(made, **more)
