"""The webhook channel keeps the contract of a channel; its platform is a receiver on loopback."""

import asyncio
import itertools
import json
import time
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from assistant.contracts.addresses import Address, address_of
from assistant.contracts.channels import Channel, ChannelContext
from assistant.contracts.errors import InvalidJson, InvalidRequest, StoreUnavailable, Unauthenticated
from assistant.testing.channel_suite import ChannelPlatform, ChannelSuite, Failure, FolderFiles, Said, Seen
from channels.webhook.adapter import SIGNATURE_HEADER, TIMESTAMP_HEADER, WebhookChannel, sign
from channels.webhook.kind import KIND
from channels.webhook.settings import WebhookSettings

SECRET = "s" * 32


class WebhookPlatform(ChannelPlatform):
    kind = KIND
    address = address_of("webhook", "build")
    bad_addresses = (Address(channel="webhook", chat_id="No Hook"), Address(channel="webhook", chat_id="other"))
    receives = True
    abilities = frozenset({"files", "signed"})
    failures = frozenset({"refuse", "limit", "lose", "hold", "server_error"})
    most_text = 1 << 30
    most_file = 25 * 1024 * 1024

    def __init__(self, folder: Path) -> None:
        self.settings = WebhookSettings()
        self.files = FolderFiles(folder)
        self._posted: dict[str, Seen] = {}
        self._failures: list[Failure] = []
        self._senders: list[asyncio.Task[int]] = []
        self._numbers = itertools.count(1)

    def open(self, url: str) -> None:
        hook = {"secret": SECRET, "url": url}
        self.settings = WebhookSettings.model_validate({"enabled": True, "hooks": {"build": hook}})
        self.channel: Channel = self._open()

    def _open(self) -> WebhookChannel:
        return WebhookChannel(self.settings, ChannelContext(files=self.files, version="1"))

    async def reopen(self) -> Channel:
        await self.channel.close()
        self.channel = self._open()
        return self.channel

    async def close(self) -> None:
        for sender in self._senders:
            sender.cancel()
        await asyncio.gather(*self._senders, return_exceptions=True)
        await self.channel.close()

    async def answer(self, request: web.Request) -> web.Response:
        failure = self._failures.pop() if self._failures else None
        if failure == "hold":
            await asyncio.Event().wait()
        if failure == "refuse":
            return web.Response(status=410)
        if failure == "server_error":
            return web.Response(status=500)
        if failure == "limit":
            return web.Response(status=429, headers={"Retry-After": "30"})
        body: dict[str, Any] = json.loads(await request.read())
        files = tuple(media["name"] for media in body["media"])
        seen = Seen(id=body["id"], text=body["text"], chat_id=body["chat_id"], files=files)
        self._posted.setdefault(request.headers["Idempotency-Key"], seen)
        if failure == "lose" and request.transport is not None:
            request.transport.abort()
        return web.Response()

    def seen(self) -> Sequence[Seen]:
        return list(self._posted.values())

    def fail(self, how: Failure) -> None:
        self._failures.append(how)

    def heal(self) -> None:
        self._failures.clear()

    def write(self, said: Said) -> str:
        if said.by == "assistant":  # a receiver is not the sender
            return ""
        id = said.id or str(next(self._numbers))
        self._senders.append(asyncio.create_task(self._say(said.text, id)))
        return id

    def garble(self) -> None:
        self._senders.append(asyncio.create_task(self._call(b"\xff{", time.time(), SECRET)))
        self._senders.append(asyncio.create_task(self._call(b'{"text": 7}', time.time(), SECRET)))

    async def forge(self, said: Said, *, stale: bool = False) -> int:
        body = json.dumps({"text": said.text, "external_id": said.id or "1"}).encode()
        return await self._call(body, time.time() - (3600 if stale else 0), SECRET if stale else "f" * 32)

    def acknowledged(self) -> bool:
        return self._senders[-1].done() and self._senders[-1].exception() is None

    async def _say(self, text: str, id: str) -> int:
        """The sender tries again until it is told that its message was taken."""
        body = json.dumps({"text": text, "external_id": id}).encode()
        status = await self._call(body, time.time(), SECRET)
        return await self._say(text, id) if status == 503 else status

    async def _call(self, body: bytes, at: float, secret: str) -> int:
        stamp = str(int(at))
        headers = {TIMESTAMP_HEADER: stamp, SIGNATURE_HEADER: sign(secret, stamp, body)}
        assert isinstance(self.channel, WebhookChannel)
        try:
            await self.channel.receive("build", headers, body)
        except StoreUnavailable:
            return 503
        except Unauthenticated:
            return 401
        except (InvalidJson, InvalidRequest):
            return 400
        return 200


class TestWebhook(ChannelSuite):
    @pytest.fixture
    async def platform(self, tmp_path: Path) -> AsyncGenerator[WebhookPlatform]:
        platform = WebhookPlatform(tmp_path)
        app = web.Application(client_max_size=1 << 26)
        app.router.add_post("/in", platform.answer)
        runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        platform.open(f"http://127.0.0.1:{runner.addresses[0][1]}/in")
        yield platform
        await platform.close()
        await runner.cleanup()
