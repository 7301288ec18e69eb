"""The webhook channel keeps the contract of a channel; its platform is a receiver on loopback."""

import asyncio
import json
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from aiohttp import web

from assistant.contracts.addresses import Address, address_of
from assistant.contracts.channels import ChannelContext
from assistant.contracts.errors import StoreUnavailable
from assistant.testing.channel_suite import ChannelPlatform, ChannelSuite, Failure
from channels.webhook.adapter import WebhookChannel
from channels.webhook.kind import KIND
from channels.webhook.settings import WebhookSettings
from tests.flow.media_folder import MediaFolder

BEARER = "b" * 32


class WebhookPlatform(ChannelPlatform):
    kind = KIND
    address = address_of("webhook", "build")
    bad_addresses = (Address(channel="webhook", chat_id="No Hook"), Address(channel="webhook", chat_id="other"))
    receives = True

    def __init__(self) -> None:
        self.settings = WebhookSettings()
        self._posted: dict[str, str] = {}
        self._failures: list[Failure] = []
        self._senders: list[asyncio.Task[None]] = []

    def open(self, url: str, folder: Path) -> None:
        hook = {"bearer": BEARER, "url": url}
        self.settings = WebhookSettings.model_validate({"enabled": True, "hooks": {"build": hook}})
        self.channel = WebhookChannel(self.settings, ChannelContext(files=MediaFolder(folder), version="1"))

    async def close(self) -> None:
        await asyncio.gather(*self._senders)
        await self.channel.close()

    async def answer(self, request: web.Request) -> web.Response:
        failure = self._failures.pop() if self._failures else None
        if failure == "hold":
            await asyncio.Event().wait()
        if failure == "refuse":
            return web.Response(status=410)
        if failure == "limit":
            return web.Response(status=429, headers={"Retry-After": "30"})
        self._posted.setdefault(request.headers["Idempotency-Key"], json.loads(await request.read())["text"])
        if failure == "lose" and request.transport is not None:
            request.transport.abort()
        return web.Response()

    def texts(self) -> list[str]:
        return list(self._posted.values())

    def fail(self, how: Failure) -> None:
        self._failures.append(how)

    def say(self, text: str) -> None:
        self._senders.append(asyncio.create_task(self._say(text)))

    def acknowledged(self) -> bool:
        return self._senders[0].done()

    async def _say(self, text: str) -> None:
        body = json.dumps({"text": text, "external_id": "1"}).encode()
        for _ in range(2):
            try:
                await self.channel.receive("build", {"authorization": f"Bearer {BEARER}"}, body)
            except StoreUnavailable:
                continue
            return


class TestWebhook(ChannelSuite):
    @pytest.fixture
    async def platform(self, tmp_path: Path) -> AsyncGenerator[WebhookPlatform]:
        platform = WebhookPlatform()
        app = web.Application(client_max_size=1 << 20)
        app.router.add_post("/in", platform.answer)
        runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        platform.open(f"http://127.0.0.1:{runner.addresses[0][1]}/in", tmp_path)
        yield platform
        await platform.close()
        await runner.cleanup()
