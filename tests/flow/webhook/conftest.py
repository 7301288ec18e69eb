"""Webhooks as they are used: the API in front of the adapter, and a receiver on loopback."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiohttp import web

from assistant.contracts.addresses import address_of
from assistant.contracts.channels import ChannelContext, Sending
from assistant.contracts.errors import StoreUnavailable
from assistant.contracts.inbox import InboundMessage
from assistant.contracts.outbox import Media, Origin, OutboundEvent, OutboundPart
from channels.webhook.adapter import WebhookChannel
from channels.webhook.settings import WebhookSettings
from tests.flow.media_folder import MediaFolder


class KeptLink:
    """Link: keeps messages by their external ids, as the inbox does."""

    def __init__(self) -> None:
        self.messages: dict[str, InboundMessage] = {}
        self.full = False
        self.up = asyncio.Event()
        self.detail = ""

    async def accept(self, message: InboundMessage) -> str:
        if self.full:
            raise StoreUnavailable
        self.messages.setdefault(message.external_id, message)
        return f"inb_{list(self.messages).index(message.external_id)}"

    async def undelivered(self, message_id: str, code: str, words: str) -> None:
        raise NotImplementedError

    async def delivered(self, message_id: str, read: bool = False) -> None:
        raise NotImplementedError

    async def last_seen(self) -> Mapping[str, str]:
        return {}

    async def moved(self, chat_id: str, now: str) -> None:
        raise NotImplementedError

    def connected(self, detail: str = "") -> None:
        self.detail = detail
        self.up.set()

    def degraded(self, why: str) -> None:
        raise AssertionError(why)


@dataclass(kw_only=True)
class Receiver:
    """A program that is posted to. `requests`: headers by lower-case name, and bodies. `answer`: how it answers."""

    url: str = ""
    requests: list[tuple[Mapping[str, str], bytes]] = field(default_factory=list[tuple[Mapping[str, str], bytes]])
    answer: Callable[[web.Request], Awaitable[web.StreamResponse]]

    async def take(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(({name.lower(): value for name, value in request.headers.items()}, await request.read()))
        return await self.answer(request)


@pytest.fixture
async def receiver() -> AsyncGenerator[Receiver]:
    async def ok(request: web.Request) -> web.StreamResponse:
        return web.json_response({})

    receiver = Receiver(answer=ok)
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_route("*", "/{path:.*}", receiver.take)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/in"
    yield receiver
    await runner.cleanup()


@asynccontextmanager
async def webhook(folder: Path, hooks: Mapping[str, object], **more: object) -> AsyncGenerator[WebhookChannel]:
    """The adapter with these hooks."""
    settings = WebhookSettings.model_validate({"enabled": True, "hooks": hooks, **more})
    channel = WebhookChannel(settings, ChannelContext(files=MediaFolder(folder), version="9.8.7"))
    try:
        yield channel
    finally:
        await channel.close()


@asynccontextmanager
async def linked(channel: WebhookChannel, link: KeptLink) -> AsyncGenerator[None]:
    """While it runs."""
    task = asyncio.create_task(channel.run(link))
    async with asyncio.timeout(30):
        await link.up.wait()
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


def event(text: str, chat_id: str = "build", media: tuple[Media, ...] = ()) -> OutboundEvent:
    return OutboundEvent(
        id="evt_1",
        address=address_of("webhook", chat_id),
        text=text,
        media=media,
        expires_at=datetime.now(UTC),
        origin=Origin(kind="api", owner="local"),
    )


def sending(part: OutboundPart, chat_id: str = "build") -> Sending:
    return Sending(address=address_of("webhook", chat_id, "7"), part=part, place=0, key="k" * 25, reply_to=None, replaces=None, again=None)
