"""Taking updates in: read one by one, so that a bad one is in nobody's way, and accepted by the inbox before Telegram is told."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from telegram import Message, Update
from telegram.error import TelegramError

from assistant.contracts.channels import Link
from assistant.contracts.errors import StoreUnavailable, place_of
from assistant.contracts.inbox import InboundMessage
from channels.telegram.api import Api
from channels.telegram.inbound import Reader

log = logging.getLogger(__name__)
ALBUM_QUIET: Final = 0.7
"""Seconds without a further message of an album after which it is taken for whole: Telegram does not say how many there are."""
ALBUM_MOST: Final = 10
_MOST_TRIES: Final = 3
AlbumKey = tuple[int, str]
_UNREADABLE: Final = (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError, OSError, RecursionError)
"""What the SDK raises of an update that is not as it should be."""


class Intake:
    def __init__(self, api: Api, reader: Reader, link: Link, tries: dict[int, int]) -> None:
        """`tries`: how often each update that is not accepted yet was offered; it outlives the connection."""
        self._tries = tries
        self._api = api
        self._reader = reader
        self._link = link

    def parse(self, raw: Any) -> Update | None:
        """None: it can't be read, which is logged; it will not be any better the next time."""
        try:
            return Update.de_json(raw, self._api)
        except _UNREADABLE as error:
            log.warning("telegram.bad_update id=%s place=%s", id_of(raw), place_of(error))
            return None

    async def take(self, updates: Sequence[Update]) -> None:
        """One update, or those of an album. When it returns, what they say is kept, or is not for us. Raises StoreUnavailable."""
        first = updates[0]
        try:
            messages = [message for update in updates if (message := update.message) is not None]
            message = self._reader.album(messages) if album_of(first) else self._reader.read(first)
        except _UNREADABLE as error:
            log.warning("telegram.bad_update id=%d place=%s", first.update_id, place_of(error))
            return
        if message is not None:
            await self._accept(first.update_id, message)
        if first.callback_query is not None:
            await self._answer(first.callback_query.id)

    async def _accept(self, number: int, message: InboundMessage) -> None:
        """One that meets a bug each time is given up: nothing behind it would ever be heard."""
        tries = self._tries[number] = self._tries.get(number, 0) + 1
        if tries <= _MOST_TRIES:
            try:
                await self._link.accept(message)
            except (StoreUnavailable, asyncio.CancelledError):  # nothing against the message
                del self._tries[number]
                raise
        else:
            log.error("telegram.update_given_up id=%d tries=%d", number, _MOST_TRIES)
        del self._tries[number]

    async def _answer(self, query_id: str) -> None:
        """Without it, the button would show a clock for half a minute."""
        try:
            await self._api.answer_callback_query(query_id, read_timeout=3)
        except TelegramError as error:
            log.info("telegram.press_unanswered reason=%s", type(error).__name__)


def id_of(raw: Any) -> int | None:
    """The number of an update as it came."""
    number: object = raw.get("update_id") if isinstance(raw, dict) else None  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
    return number if isinstance(number, int) else None


def album_of(update: Update) -> AlbumKey | None:
    """The album that an update belongs to."""
    message = update.message
    return (message.chat.id, message.media_group_id) if isinstance(message, Message) and message.media_group_id else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What can be made of the updates of one answer."""

    ready: tuple[tuple[Update, ...], ...]
    """Single ones and whole albums, in order."""
    growing: Mapping[AlbumKey, int]
    """Albums that may still grow, with how many there are."""
    first_held: int | None
    """The first update that must come again: of a growing album, or behind one in its chat."""


def batch_of(updates: Sequence[Update], growing_before: Mapping[AlbumKey, int]) -> Batch:
    """An album is whole when it has not grown since the last look, or can't."""
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
