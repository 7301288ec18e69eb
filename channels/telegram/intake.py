"""Accepts updates in order, albums as one, and polls for them."""

import asyncio
import logging
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from telegram import Message, Update
from telegram.error import TelegramError

from assistant.contracts.channels import ChannelLink
from assistant.contracts.errors import StoreUnavailable, traceback_location
from assistant.contracts.inbox import InboundMessage
from assistant.contracts.util import backoff
from channels.telegram.api import Answered, Api, channel_failure, unreachable
from channels.telegram.inbound import Reader

log = logging.getLogger(__name__)
ALBUM_QUIET: Final = 0.7
"""Seconds without a further message after which an album counts as complete: Telegram does not say how many there are."""
ALBUM_MOST: Final = 10
_MOST_TRIES: Final = 3
AlbumKey = tuple[int, str]
_UNREADABLE: Final = (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError, OSError, RecursionError)
"""Raised by the SDK for a malformed update."""


class TelegramIntake:
    def __init__(self, api: Api, reader: Reader, link: ChannelLink, tries: dict[int, int]) -> None:
        """`tries`: attempts for each update that is not accepted yet; outlives the connection."""
        self._tries = tries
        self._api = api
        self._reader = reader
        self._link = link

    def parse(self, raw: Any) -> Update | None:
        """None: it can't be read, which is logged."""
        try:
            return Update.de_json(raw, self._api)
        except _UNREADABLE as error:
            log.warning("telegram.bad_update id=%s place=%s", id_of(raw), traceback_location(error))
            return None

    async def take(self, updates: Sequence[Update]) -> None:
        """One update, or those of an album. When it returns, they are stored or not for the assistant. Raises StoreUnavailable."""
        first = updates[0]
        try:
            messages = [message for update in updates if (message := update.message) is not None]
            message = self._reader.album(messages) if album_of(first) else self._reader.read(first)
        except _UNREADABLE as error:
            log.warning("telegram.bad_update id=%d place=%s", first.update_id, traceback_location(error))
            return
        if message is not None:
            await self._accept(first.update_id, message)
        if first.callback_query is not None:
            try:  # else the button shows a clock for half a minute
                await self._api.answer_callback_query(first.callback_query.id, read_timeout=3)
            except TelegramError as error:
                log.info("telegram.press_unanswered reason=%s", type(error).__name__)

    async def _accept(self, number: int, message: InboundMessage) -> None:
        """A message that hits a bug each time is dropped: it would hold up all others."""
        tries = self._tries[number] = self._tries.get(number, 0) + 1
        if tries <= _MOST_TRIES:
            try:
                await self._link.accept(message)
            except (StoreUnavailable, asyncio.CancelledError):  # not the message's fault
                del self._tries[number]
                raise
        else:
            log.error("telegram.update_given_up id=%d tries=%d", number, _MOST_TRIES)
        del self._tries[number]


def id_of(raw: Any) -> int | None:
    """The id of an update in JSON."""
    number: object = raw.get("update_id") if isinstance(raw, dict) else None  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
    return number if isinstance(number, int) else None


def album_of(update: Update) -> AlbumKey | None:
    """The album that an update belongs to."""
    message = update.message
    return (message.chat.id, message.media_group_id) if isinstance(message, Message) and message.media_group_id else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """The updates of one answer, sorted by what can be done."""

    ready: tuple[tuple[Update, ...], ...]
    """Single ones and whole albums, in order."""
    growing: Mapping[AlbumKey, int]
    """Albums that may still grow, with how many there are."""
    first_held: int | None
    """The first update to fetch again: of a growing album, or behind one in its chat."""


def batch_of(updates: Sequence[Update], growing_before: Mapping[AlbumKey, int]) -> Batch:
    """An album is complete when it has not grown since the last answer, or can't grow."""
    albums: dict[AlbumKey, list[Update]] = {}
    for update in updates:
        if key := album_of(update):
            albums.setdefault(key, []).append(update)
    growing = {key: len(found) for key, found in albums.items() if len(found) < ALBUM_MOST and growing_before.get(key) != len(found)}
    ready: list[tuple[Update, ...]] = []
    held: list[int] = []
    held_chats: set[int] = set()
    for update in updates:
        key = album_of(update)
        chat = update.effective_chat.id if update.effective_chat else 0
        if key in growing or chat in held_chats:
            held_chats.add(chat)
            held.append(update.update_id)
        elif key is None:
            ready.append((update,))
        elif found := albums.pop(key, None):
            ready.append(tuple(found))
    return Batch(ready=tuple(ready), growing=growing, first_held=min(held, default=None))


_WAIT: Final = 25
"""Seconds of a long poll."""
_LONGEST_PAUSE: Final = 30.0
_LONGEST_OBEYED: Final = 3600.0
"""The longest `retry_after` that polling obeys: one request an hour is harmless, a month without messages is not."""
_ANOTHER: Final = (
    "Another program asks for this bot's messages with the same token; Telegram gives them to one only. Stop the other one, or make a bot of "
    "its own for it."
)
_WEBHOOK: Final = (
    "Another program has set a webhook for this bot, so Telegram does not give its messages here. Stop it, and restart this one."
)


class Polling:
    def __init__(self, api: Api, intake: TelegramIntake, link: ChannelLink, detail: str) -> None:
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
                if error.status in (401, 404):
                    raise channel_failure(error) from error
                words = f"Telegram answered: {error.description}."
                if error.status == 409:
                    words = _WEBHOOK if "webhook" in error.description else _ANOTHER
                await self._pause(words, error.retry_after)
            except TelegramError as error:
                await self._pause(unreachable(error))
            except StoreUnavailable:
                await self._pause("Messages wait at Telegram, because the store can't keep them now.")
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
        batch = batch_of([update for raw in fresh if (update := self._intake.parse(raw)) is not None], self._growing)
        for updates in batch.ready:
            await self._intake.take(updates)
            self._done |= {update.update_id for update in updates}
        self._growing = batch.growing
        if not numbers:
            return not answer
        before, self._offset = self._offset, max(numbers) + 1 if batch.first_held is None else batch.first_held
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
