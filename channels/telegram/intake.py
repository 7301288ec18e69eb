"""Accepts updates in order, albums as one, from polling or from a webhook."""

import asyncio
import logging
import secrets
from collections.abc import Hashable, Mapping, MutableMapping, Sequence
from typing import Any, Final

from aiohttp import web
from telegram import Message, Update

from assistant.contracts.channels import ChannelFailed, ChannelLink
from assistant.contracts.errors import StoreUnavailable, traceback_location
from channels.kit.albums import QUIET, CalledAlbums, Piece, sort_pieces
from channels.kit.calls import listening, same
from channels.kit.http import Answered, PlatformError, loads, value_at
from channels.kit.intake import NOT_KEPT, Intake
from channels.kit.polling import PollRounds
from channels.kit.refusals import connecting
from channels.kit.values import UNREADABLE
from channels.telegram.api import ALLOWED_UPDATES, TelegramApi
from channels.telegram.inbound import Reader
from channels.telegram.refusals import channel_failure
from channels.telegram.settings import TelegramSettings

log = logging.getLogger(__name__)
ALBUM_MOST: Final = 10


class TelegramIntake:
    def __init__(self, api: TelegramApi, reader: Reader, link: ChannelLink, intake: Intake, moved: MutableMapping[str, str]) -> None:
        """`intake` outlives the connection. `moved`: old id → new id of groups that became supergroups."""
        self._api = api
        self._reader = reader
        self._link = link
        self._intake = intake
        self._moved = moved

    def parse(self, raw: Any) -> Update | None:
        """None: it can't be read, which is logged."""
        try:
            update = Update.de_json(raw)
            _check_ids(update)
            return update
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
            message = self._reader.album(messages) if piece_of(first).album else self._reader.read(first)
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
            self._moved[str(old)] = str(now)


def _check_ids(update: Update) -> None:
    """Raises TypeError or AttributeError: what chats, people and messages are told apart by is not what Telegram writes."""
    message, press, user = update.effective_message, update.callback_query, update.effective_user
    numbers: list[object] = [update.update_id, user.id if user else None, *([message.message_id, message.chat.id] if message else ())]
    words: list[object] = [press.id if press else None]
    if isinstance(message, Message):
        sender = message.sender_chat
        numbers += [sender.id if sender else None, message.migrate_to_chat_id, message.migrate_from_chat_id]
        words.append(message.media_group_id)
    if not all(each is None or (isinstance(each, int) and abs(each) < 1 << 63) for each in numbers):
        raise TypeError
    if not all(each is None or (isinstance(each, str) and len(each) < 256 and each.isprintable()) for each in words):
        raise TypeError


def id_of(raw: Any) -> int | None:
    number = value_at(raw, "update_id")
    return number if isinstance(number, int) else None


def piece_of(update: Update) -> Piece[Update]:
    message, chat = update.message, update.effective_chat
    album = (message.chat.id, message.media_group_id) if isinstance(message, Message) and message.media_group_id else None
    return Piece(number=update.update_id, chat=chat.id if chat else 0, album=album, it=update)


_WAIT: Final = 25
"""Seconds of a long poll."""
_ANOTHER: Final = (
    "Another program asks for this bot's messages with the same token; Telegram gives them to one only. Stop the other one, or make a bot of "
    "its own for it."
)
_WEBHOOK: Final = (
    "Another program has set a webhook for this bot, so Telegram does not give its messages here. Stop it, and restart this one."
)


def _poll_failure(error: PlatformError) -> ChannelFailed:
    if isinstance(error, Answered) and error.status == 409:
        return ChannelFailed(_WEBHOOK if "webhook" in error.words else _ANOTHER)
    return channel_failure(error)


class Polling:
    def __init__(self, api: TelegramApi, intake: TelegramIntake) -> None:
        self._api = api
        self._intake = intake
        self._offset: int | None = None
        self._growing: Mapping[Hashable, int] = {}
        self._done: set[int] = set()
        """Updates that are accepted and can't be acknowledged yet, because an earlier one is held."""

    async def run(self, link: ChannelLink, detail: str) -> None:
        """Runs until cancelled. Raises ChannelFailed when the token is refused; retries after all other errors."""
        await PollRounds("telegram", link, detail).run(self._poll, _poll_failure)

    async def _poll(self, at_once: bool) -> float:
        moved = await self._round(at_once)
        return QUIET if self._growing or not moved else 0.0

    async def _round(self, at_once: bool) -> bool:
        """Poll once and accept what comes. False: there were updates, and none could be acknowledged."""
        answer = await self._api.updates(self._offset, 0 if at_once or self._growing else _WAIT)
        numbers = [number for raw in answer if (number := id_of(raw)) is not None]
        fresh = [raw for raw in answer if id_of(raw) not in self._done]
        parsed = [update for raw in fresh if (update := self._intake.parse(raw)) is not None]
        ready, growing, first_held = sort_pieces(list(map(piece_of, parsed)), self._growing, ALBUM_MOST)
        for pieces in ready:
            await self._intake.take([piece.it for piece in pieces])
            self._done |= {piece.number for piece in pieces}
        self._growing = growing
        if not numbers:
            return not answer
        before, self._offset = self._offset, max(numbers) + 1 if first_held is None else first_held
        self._done = {number for number in self._done if number >= self._offset}
        return before != self._offset  # else Telegram sends the same again, at once


_SECRET_HEADER: Final = "X-Telegram-Bot-Api-Secret-Token"  # noqa: S105 - the header's name
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
        self._albums = CalledAlbums(intake.take, ALBUM_MOST)

    async def run(self) -> None:
        """Runs until cancelled. The webhook stays set: Telegram keeps what comes meanwhile. Raises ChannelFailed."""
        host, port = self._settings.webhook_listen_host, self._settings.webhook_listen_port
        async with listening(host, port, self._settings.webhook_path, self._called):
            with connecting(failure=channel_failure):
                await self._api.call(
                    "setWebhook",
                    url=self._settings.webhook_url,
                    secret_token=self._secret,
                    allowed_updates=ALLOWED_UPDATES,
                    max_connections=_MAX_CONNECTIONS,
                )
            self._link.connected(self._detail)
            while True:
                await asyncio.sleep(_LOOK_EVERY)
                await self._look()

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
                await self._albums.add(piece_of(update))
        except StoreUnavailable:
            self._link.degraded(NOT_KEPT)
            return web.Response(status=503)
        return web.Response()
