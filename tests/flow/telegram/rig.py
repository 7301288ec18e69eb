"""The adapter, its SDK and the stand-in, joined; and who listens."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from assistant.contracts.addresses import Address
from assistant.contracts.channels import Channel, ChannelContext, Sending
from assistant.contracts.errors import StoreUnavailable
from assistant.contracts.inbox import InboundMessage
from assistant.contracts.outbox import ButtonRows, Media, Origin, OutboundEvent, Receipt
from channels.telegram.adapter import TelegramChannel
from channels.telegram.kind import KIND
from channels.telegram.settings import TelegramSettings
from tests.doubles.telegram_api.server import TelegramServer
from tests.flow.media_folder import MediaFolder


class Listener:
    """A link that remembers."""

    def __init__(self) -> None:
        self.messages: list[InboundMessage] = []
        self.refuse = 0
        """How many of the next messages can't be kept."""
        self.breaks_on: str | None = None
        """The text of a message that meets a bug."""
        self.states: list[tuple[str, str]] = []
        self.chats_moved: list[tuple[str, str]] = []
        self._news = asyncio.Event()

    async def accept(self, message: InboundMessage) -> str:
        await asyncio.sleep(0)
        if self.refuse:
            self.refuse -= 1
            raise StoreUnavailable
        if message.text == self.breaks_on:
            raise LookupError
        self.messages.append(message)
        self._news.set()
        return f"inb_{len(self.messages)}"

    async def undelivered(self, message_id: str, code: str, words: str) -> None:
        raise NotImplementedError

    async def delivered(self, message_id: str, read: bool = False) -> None:
        raise NotImplementedError

    async def last_seen(self) -> Mapping[str, str]:
        return {}

    async def moved(self, chat_id: str, now: str) -> None:
        self.chats_moved.append((chat_id, now))

    def connected(self, detail: str = "") -> None:
        self.states.append(("connected", detail))
        self._news.set()

    def degraded(self, why: str) -> None:
        self.states.append(("degraded", why))
        self._news.set()

    async def until(self, holds: Callable[[], bool], within: float = 30.0) -> None:
        async with asyncio.timeout(within):
            while not holds():
                self._news.clear()
                await self._news.wait()

    async def received(self, count: int) -> list[InboundMessage]:
        await self.until(lambda: len(self.messages) >= count)
        return self.messages

    async def state(self, name: str) -> str:
        """Wait for a state; returns its words."""
        await self.until(lambda: any(state == name for state, _ in self.states))
        return next(words for state, words in self.states if state == name)


class Rig:
    def __init__(self, server: TelegramServer, folder: Path) -> None:
        self.server = server
        self.files = MediaFolder(folder)
        self.link = Listener()
        self._opened: list[Channel] = []
        self._running: list[asyncio.Task[None]] = []

    def open(self, answer_seconds: float | None = None, **settings: Any) -> Channel:
        given = {"enabled": True, "token": self.server.token, "apiBase": self.server.url, **settings}
        valid, context = TelegramSettings.model_validate(given), ChannelContext(files=self.files, version="1")
        channel = KIND.open(valid, context) if answer_seconds is None else TelegramChannel(valid, context, answer_seconds=answer_seconds)
        self._opened.append(channel)
        return channel

    async def run(self, **settings: Any) -> Channel:
        """An open channel that is connected."""
        channel = self.open(**settings)
        self.start(channel)
        await self.link.state("connected")
        return channel

    def start(self, channel: Channel) -> asyncio.Task[None]:
        task = asyncio.create_task(channel.run(self.link))
        self._running.append(task)
        return task

    async def stop(self) -> None:
        """The channel's process ends, as far as it can be told from outside."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        self._running.clear()
        for channel in self._opened:
            await channel.close()
        self._opened.clear()

    async def send(self, channel: Channel, event: OutboundEvent, **how: Any) -> list[Receipt]:
        """All parts of an event, as the dispatcher does it where nothing fails."""
        return [await channel.send(sending(event, channel.plan(event)[place], place, **how)) for place in range(len(channel.plan(event)))]


def event(
    text: str = "hello",
    chat_id: int | str = 42,
    *,
    thread: str | None = None,
    media: Sequence[Media] = (),
    buttons: ButtonRows = (),
    reply_to: str | None = None,
    replaces: str | None = None,
) -> OutboundEvent:
    return OutboundEvent(
        id="evt_1",
        address=Address(channel="telegram", chat_id=str(chat_id), thread_id=thread),
        text=text,
        media=tuple(media),
        buttons=buttons,
        reply_to=reply_to,
        replaces=replaces,
        expires_at=datetime.now(UTC) + timedelta(days=1),
        origin=Origin(kind="tool", owner="local"),
    )


def sending(made: OutboundEvent, part: Any, place: int = 0) -> Sending:
    return Sending(
        address=made.address,
        part=part,
        place=place,
        key="k1",
        reply_to=made.reply_to if place == 0 else None,
        replaces=made.replaces if place == 0 else None,
        again=None,
    )
