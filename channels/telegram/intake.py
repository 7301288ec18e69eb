"""Accepts updates in order, albums as one, from polling or from a webhook."""

import asyncio
import contextlib
import logging
import random
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from aiohttp import web
from telegram import Message, Update

from assistant.contracts.channels import ChannelFailed, ChannelLink
from assistant.contracts.errors import StoreUnavailable, traceback_location
from assistant.contracts.util import backoff
from channels.kit.calls import same
from channels.kit.http import Answered, PlatformError, loads, value_at
from channels.kit.intake import Intake
from channels.telegram.api import ALLOWED_UPDATES, TelegramApi
from channels.telegram.inbound import Reader
from channels.telegram.refusals import channel_failure
from channels.telegram.settings import TelegramSettings

log = logging.getLogger(__name__)
ALBUM_QUIET: Final = 0.7
"""Seconds without a further message after which an album counts as complete: Telegram does not say how many there are."""
ALBUM_MOST: Final = 10
AlbumKey = tuple[int, str]
UNREADABLE: Final = (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError, OSError, RecursionError)
"""Raised by the SDK for a malformed update."""


class TelegramIntake:
    def __init__(self, api: TelegramApi, reader: Reader, link: ChannelLink, intake: Intake, moved: Callable[[str, str], object]) -> None:
        """`intake` outlives the connection. `moved` is called with the old and the new id of a group that became a supergroup."""
        self._api = api
        self._reader = reader
        self._link = link
        self._intake = intake
        self._moved = moved

    def parse(self, raw: Any) -> Update | None:
        """None: it can't be read, which is logged."""
        try:
            return Update.de_json(raw)
        except UNREADABLE as error:
            log.warning("telegram.bad_update id=%s place=%s", id_of(raw), traceback_location(error))
            return None

    async def take(self, updates: Sequence[Update]) -> None:
        """One update, or those of an album. When it returns, they are stored or not for the assistant. Raises StoreUnavailable."""
        first = updates[0]
        if first.message is not None:
            await self._follow(first.message)
        try:
            messages = [message for update in updates if (message := update.message) is not None]
            message = self._reader.album(messages) if album_of(first) else self._reader.read(first)
        except UNREADABLE as error:
            log.warning("telegram.bad_update id=%d place=%s", first.update_id, traceback_location(error))
            return
        if message is not None:
            await self._intake.accept(self._link, message)
        if first.callback_query is not None:
            try:  # else the button shows a clock for half a minute
                await self._api.call("answerCallbackQuery", seconds=3, callback_query_id=first.callback_query.id)
            except PlatformError as error:
                log.info("telegram.press_unanswered reason=%s", type(error).__name__)

    async def _follow(self, message: Message) -> None:
        """A group that becomes a supergroup says so in both. https://core.telegram.org/bots/api#message, migrate_to_chat_id"""
        old, now = message.chat.id, message.migrate_to_chat_id
        if message.migrate_from_chat_id is not None:
            old, now = message.migrate_from_chat_id, message.chat.id
        if now is not None:
            await self._link.moved(str(old), str(now))
            self._moved(str(old), str(now))


def id_of(raw: Any) -> int | None:
    number: object = raw.get("update_id") if isinstance(raw, dict) else None  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
    return number if isinstance(number, int) else None


def album_of(update: Update) -> AlbumKey | None:
    message = update.message
    return (message.chat.id, message.media_group_id) if isinstance(message, Message) and message.media_group_id else None


def sort_updates(
    updates: Sequence[Update], growing_before: Mapping[AlbumKey, int]
) -> tuple[list[list[Update]], Mapping[AlbumKey, int], int | None]:
    """By what can be done: single updates and whole albums, in order; the albums that may still grow, with how many there are; the first update to
    fetch again: of a growing album, or behind one in its chat.

    An album is complete when it has not grown since the last answer, or can't grow.
    """
    albums: dict[AlbumKey, list[Update]] = {}
    for update in updates:
        if key := album_of(update):
            albums.setdefault(key, []).append(update)
    growing = {key: len(found) for key, found in albums.items() if len(found) < ALBUM_MOST and growing_before.get(key) != len(found)}
    ready: list[list[Update]] = []
    held: list[int] = []
    held_chats: set[int] = set()
    for update in updates:
        key = album_of(update)
        chat = update.effective_chat.id if update.effective_chat else 0
        if key in growing or chat in held_chats:
            held_chats.add(chat)
            held.append(update.update_id)
        elif key is None:
            ready.append([update])
        elif found := albums.pop(key, None):
            ready.append(found)
    return ready, growing, min(held, default=None)


_WAIT: Final = 25
"""Seconds of a long poll."""
_LONGEST_PAUSE: Final = 30.0
_LONGEST_OBEYED: Final = 3600.0
"""The longest `retry_after` that polling obeys: one request an hour is harmless, a month without messages is not."""
_ANOTHER: Final = (
    "Another program asks for this bot's messages with the same token; Telegram gives them to one only. Stop the other one, or make a bot of "
    "its own for it."
)
_NOT_KEPT: Final = "Messages wait at Telegram, because the store can't keep them now."
_WEBHOOK: Final = (
    "Another program has set a webhook for this bot, so Telegram does not give its messages here. Stop it, and restart this one."
)


class Polling:
    def __init__(self, api: TelegramApi, intake: TelegramIntake, link: ChannelLink, detail: str) -> None:
        """`detail`: for `link.connected`."""
        self._api = api
        self._intake = intake
        self._link = link
        self._detail = detail
        self._offset: int | None = None
        self._growing: Mapping[AlbumKey, int] = {}
        self._done: set[int] = set()
        """Updates that are accepted and can't be acknowledged yet, because an earlier one is held."""
        self._failures = 0

    async def run(self) -> None:
        """Runs until cancelled. Raises ChannelFailed when the token is refused; retries after all other errors."""
        while True:
            try:
                moved = await self._round()
            except Answered as error:
                failure = channel_failure(error)
                if failure.fatal:
                    raise failure from error
                words = str(failure)
                if error.status == 409:
                    words = _WEBHOOK if "webhook" in error.words else _ANOTHER
                await self._pause(words, error.retry_after)
            except PlatformError as error:
                await self._pause(str(channel_failure(error)))
            except StoreUnavailable:
                await self._pause(_NOT_KEPT)
            else:
                if self._failures:
                    self._failures = 0
                    self._link.connected(self._detail)
                if self._growing or not moved:
                    await asyncio.sleep(ALBUM_QUIET)

    async def _round(self) -> bool:
        """Poll once and accept what comes. False: there were updates, and none could be acknowledged."""
        at_once = self._growing or self._failures  # after an error, to see soon that it is over
        answer = await self._api.updates(self._offset, 0 if at_once else _WAIT)
        numbers = [number for raw in answer if (number := id_of(raw)) is not None]
        fresh = [raw for raw in answer if id_of(raw) not in self._done]
        parsed = [update for raw in fresh if (update := self._intake.parse(raw)) is not None]
        ready, growing, first_held = sort_updates(parsed, self._growing)
        for updates in ready:
            await self._intake.take(updates)
            self._done |= {update.update_id for update in updates}
        self._growing = growing
        if not numbers:
            return not answer
        before, self._offset = self._offset, max(numbers) + 1 if first_held is None else first_held
        self._done = {number for number in self._done if number >= self._offset}
        return before != self._offset  # else Telegram sends the same again, at once

    async def _pause(self, why: str, least: float | None = None) -> None:
        """Report the error and wait, longer each time."""
        self._failures += 1
        self._link.degraded(why)
        delay = backoff(self._failures, random.random(), longest=_LONGEST_PAUSE, spread=0.5)  # noqa: S311 - no secret
        pause = max(min(least or 0.0, _LONGEST_OBEYED), delay)
        log.warning("telegram.poll_failed failures=%d pause=%.1f", self._failures, pause)
        await asyncio.sleep(pause)


_SECRET_HEADER: Final = "X-Telegram-Bot-Api-Secret-Token"  # noqa: S105 - the header's name
_MOST_BYTES: Final = 1_000_000
_MAX_CONNECTIONS: Final = 4
"""Calls that Telegram may make at once."""
_LOOK_EVERY: Final = 60.0
"""Seconds between two checks of the webhook at Telegram."""


class TelegramWebhook:
    """Answers 200 when a message is accepted; otherwise Telegram calls again."""

    def __init__(self, api: TelegramApi, intake: TelegramIntake, link: ChannelLink, settings: TelegramSettings, detail: str) -> None:
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
                about: dict[str, Any] = {
                    "secret_token": self._secret,
                    "allowed_updates": ALLOWED_UPDATES,
                    "max_connections": _MAX_CONNECTIONS,
                }
                await self._api.call("setWebhook", url=self._settings.webhook_url, **about)
            except PlatformError as error:
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
            info: object = await self._api.call("getWebhookInfo")
        except PlatformError as error:
            failure = channel_failure(error)
            if failure.fatal:
                raise failure from error
            self._link.degraded(str(failure))
            return
        if value_at(info, "url") != self._settings.webhook_url:
            raise ChannelFailed("Another program has set another webhook for this bot, or removed it.")
        if (why := value_at(info, "last_error_message")) and value_at(info, "pending_update_count"):
            self._link.degraded(f"Telegram can't call the webhook: {why}.")
        else:
            self._link.connected(self._detail)

    async def _called(self, request: web.Request) -> web.Response:
        if not same(self._secret, request.headers.get(_SECRET_HEADER, "")):
            return web.Response(status=403)
        try:
            raw = loads(await request.read())
        except ValueError:
            return web.Response(status=400)
        update = self._intake.parse(raw)
        try:
            if update is not None:
                await self._take(update)
        except StoreUnavailable:
            self._link.degraded(_NOT_KEPT)
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
