"""A webhook for Telegram: it answers 200 when the message is accepted; otherwise Telegram calls again."""

import asyncio
import contextlib
import hmac
import json
import logging
import secrets
from dataclasses import dataclass, field
from typing import Final

from aiohttp import web
from telegram import Update
from telegram.error import TelegramError

from assistant.contracts.channels import ChannelFailed, ChannelLink
from assistant.contracts.errors import StoreUnavailable
from channels.telegram.api import ALLOWED_UPDATES, Answered, Api, channel_failure, unreachable
from channels.telegram.intake import ALBUM_MOST, ALBUM_QUIET, AlbumKey, TelegramIntake, album_of
from channels.telegram.settings import TelegramSettings

log = logging.getLogger(__name__)
_SECRET_HEADER: Final = "X-Telegram-Bot-Api-Secret-Token"  # noqa: S105 - the header's name
_MOST_BYTES: Final = 1_000_000
_MAX_CONNECTIONS: Final = 4
"""Calls that Telegram may make at once."""
_LOOK_EVERY: Final = 60.0
"""Seconds between two checks of the webhook at Telegram."""


class TelegramWebhook:
    def __init__(self, api: Api, intake: TelegramIntake, link: ChannelLink, settings: TelegramSettings, detail: str) -> None:
        self._api = api
        self._intake = intake
        self._link = link
        self._settings = settings
        self._detail = detail
        given = settings.webhook_secret_token
        self._secret = given.get_secret_value() if given else secrets.token_urlsafe(32)
        self._albums: dict[AlbumKey, _Album] = {}

    async def run(self) -> None:
        """Runs until cancelled. The webhook stays set: Telegram keeps what comes meanwhile. Raises ChannelFailed."""
        app = web.Application(client_max_size=_MOST_BYTES)
        app.router.add_post(self._settings.webhook_path, self._called)
        runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=5)
        await runner.setup()
        try:
            host, port = self._settings.webhook_listen_host, self._settings.webhook_listen_port
            try:
                await web.TCPSite(runner, host, port).start()
            except OSError as error:
                raise ChannelFailed(f"The webhook can't listen on {host}:{port}: {error.strerror}.") from error
            try:
                await self._api.set_webhook(
                    self._settings.webhook_url,
                    secret_token=self._secret,
                    allowed_updates=ALLOWED_UPDATES,
                    max_connections=_MAX_CONNECTIONS,
                )
            except TelegramError as error:
                raise channel_failure(error) from error
            self._link.connected(self._detail)
            while True:
                await asyncio.sleep(_LOOK_EVERY)
                await self._look()
        finally:
            await runner.cleanup()

    async def _look(self) -> None:
        """Check that Telegram still calls here, and can. Raises ChannelFailed if the token is refused or another webhook is set."""
        try:
            info = await self._api.get_webhook_info()
        except Answered as error:
            if error.status in (401, 404):
                raise channel_failure(error) from error
            self._link.degraded(f"Telegram answered: {error.description}.")
        except TelegramError as error:
            self._link.degraded(unreachable(error))
        else:
            if info.url != self._settings.webhook_url:
                raise ChannelFailed("Another program has set another webhook for this bot, or removed it.")
            if info.last_error_message and info.pending_update_count:
                self._link.degraded(f"Telegram can't call the webhook: {info.last_error_message}.")
            else:
                self._link.connected(self._detail)

    async def _called(self, request: web.Request) -> web.Response:
        if not hmac.compare_digest(request.headers.get(_SECRET_HEADER, "").encode(errors="surrogateescape"), self._secret.encode()):
            return web.Response(status=403)
        try:
            raw = json.loads(await request.read())
        except (ValueError, RecursionError):
            return web.Response(status=400)
        update = self._intake.parse(raw)
        try:
            if update is not None:
                await self._take(update)
        except StoreUnavailable:
            self._link.degraded("Messages wait at Telegram, because the store can't keep them now.")
            return web.Response(status=503)
        return web.Response()

    async def _take(self, update: Update) -> None:
        """The messages of an album come in calls of their own, side by side: each is answered when the whole album is accepted."""
        key = album_of(update)
        if key is None:
            await self._intake.take([update])
            return
        album = self._albums.get(key)
        if album is None:
            album = self._albums[key] = _Album()
            album.taken = asyncio.create_task(self._take_album(key, album))
            album.taken.add_done_callback(lambda taken: taken.cancelled() or taken.exception())  # the callers may be gone
        album.updates[update.update_id] = update
        album.grown.set()
        assert album.taken is not None
        await asyncio.shield(album.taken)

    async def _take_album(self, key: AlbumKey, album: "_Album") -> None:
        """Waits until the album has stopped growing, or can't grow."""
        with contextlib.suppress(TimeoutError):
            while len(album.updates) < ALBUM_MOST:
                album.grown.clear()
                await asyncio.wait_for(album.grown.wait(), ALBUM_QUIET)
        del self._albums[key]
        await self._intake.take([album.updates[number] for number in sorted(album.updates)])


@dataclass(slots=True)
class _Album:
    updates: dict[int, Update] = field(default_factory=dict[int, Update])
    grown: asyncio.Event = field(default_factory=asyncio.Event)
    taken: asyncio.Task[None] | None = None
