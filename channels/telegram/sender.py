"""An event as Telegram's messages: planned as parts, sent once each."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, Literal, TypeVar

from telegram import InlineKeyboardButton, InlineKeyboardMarkup, InputFile, InputMediaPhoto, LinkPreviewOptions, Message, ReplyParameters
from telegram.constants import ParseMode
from telegram.error import TelegramError

from assistant.contracts.addresses import Address
from assistant.contracts.channels import Sending, SendLater, SendRefused, SendUnclear, SendUndecided
from assistant.contracts.outbox import Button, ButtonRows, Media, MediaFiles, OutboundEvent, OutboundPart, Receipt
from channels.telegram.api import Answered, Api, refused_as, send_failure
from channels.text.blocks import clean
from channels.text.telegram import telegram_parts

TEXT_UNITS: Final = 4000
"""UTF-16 units of a message, of 4096 allowed."""
CAPTION_UNITS: Final = 1000
"""Of 1024."""
PHOTO_BYTES: Final = 10_000_000
FILE_BYTES: Final = 50_000_000
ALBUM_FILES: Final = 10
PHOTO_TYPES: Final = frozenset({"image/jpeg", "image/png", "image/webp"})


def plan(event: OutboundEvent) -> Sequence[OutboundPart]:
    """Text first, then files: a photo or a few as an album, everything else one by one. A text that fits is the caption of the first.

    What replaces a preview begins with text, because an edit can't bring a file. Buttons are under the last part; an album has none.
    """
    for media in event.media:
        if media.size > FILE_BYTES:
            raise SendRefused("too_large", f"{media.name} is larger than the 50 MB that Telegram takes.")
        if media.size == 0:
            raise SendRefused("empty_file", f"{media.name} is empty, which Telegram does not take.")
    texts = _texts(event.text, TEXT_UNITS)
    files = [OutboundPart(text="", plain="", media=album) for album in _albums(event.media, together=not event.buttons)]
    if files and texts and event.replaces is None and len(captions := _texts(event.text, CAPTION_UNITS)) == 1:
        texts, files[0] = [], replace(captions[0], media=files[0].media)
    parts = [*texts, *files]
    if not parts:
        raise SendRefused("empty", "The message has no words that can be seen.")
    buttons = tuple(tuple(Button(text=clean(button.text), url=button.url) for button in row) for row in event.buttons)
    return [*parts[:-1], replace(parts[-1], buttons=buttons)]


def _texts(text: str, limit: int) -> list[OutboundPart]:
    return [OutboundPart(text=part.text, plain=part.plain) for part in telegram_parts(text, limit)]


def is_photo(media: Media) -> bool:
    return media.media_type in PHOTO_TYPES and media.size <= PHOTO_BYTES


def _albums(media: Sequence[Media], *, together: bool) -> list[tuple[Media, ...]]:
    """Photos that follow one another go as one album, within what one request may hold; every other file goes alone."""
    albums: list[tuple[Media, ...]] = []
    for file in media:
        last = albums[-1] if albums else ()
        photos = together and bool(last) and is_photo(last[-1]) and is_photo(file)
        if photos and len(last) < ALBUM_FILES and sum(each.size for each in last) + file.size <= FILE_BYTES:
            albums[-1] = (*last, file)
        else:
            albums.append((file,))
    return albums


_MOST_BUTTON_BYTES: Final = 64
_WORDS, _PLACE = "t", "#"
"""What the data of a button begins with: before the button's own words, or before its place where they are too long."""


def keyboard(rows: ButtonRows) -> InlineKeyboardMarkup | None:
    """Buttons without words are left out; one whose URL Telegram would refuse sends its words instead."""
    made = [
        [_button(button, f"{row}.{column}") for column, button in enumerate(line) if button.text.strip()] for row, line in enumerate(rows)
    ]
    made = [line for line in made if line]
    return InlineKeyboardMarkup(made) if made else None


def pressed(data: str, markup: InlineKeyboardMarkup | None) -> str | None:
    """The text of a pressed button. `markup`: of its message. None: it is not one of ours."""
    if data.startswith(_WORDS):
        return data[len(_WORDS) :]
    if data.startswith(_PLACE) and markup is not None:
        return next((button.text for line in markup.inline_keyboard for button in line if button.callback_data == data), None)
    return None


def _button(button: Button, place: str) -> InlineKeyboardButton:
    if button.url is not None and button.url.startswith(("https://", "http://", "tg://")):
        return InlineKeyboardButton(button.text, url=button.url)
    data = _WORDS + button.text
    return InlineKeyboardButton(button.text, callback_data=data if len(data.encode()) <= _MOST_BUTTON_BYTES else _PLACE + place)


log = logging.getLogger(__name__)
_SECONDS: Final = 55.0
"""For a part with all its retries; the port allows 60."""
_MOST_MOVED: Final = 1000
_AUDIO: Final = frozenset({"audio/mpeg", "audio/mp3", "audio/mp4", "audio/m4a", "audio/x-m4a"})
_VOICE: Final = frozenset({"audio/ogg", "audio/opus"})
_VIDEO: Final = frozenset({"video/mp4"})
_Sent = TypeVar("_Sent")
Where = dict[str, Any]
"""Parameters: the chat, the topic, and the message that is answered."""


def where_to(address: Address, reply_to: str | None) -> Where:
    where: Where = {"chat_id": address.chat_id}
    if address.thread_id is not None:
        where["message_thread_id"] = int(address.thread_id)
    if reply_to is not None and reply_to.isdigit():
        where["reply_parameters"] = ReplyParameters(message_id=int(reply_to), allow_sending_without_reply=True)
    return where


class TelegramSender:
    def __init__(self, api: Api, files: MediaFiles, *, link_previews: bool) -> None:
        self._api = api
        self._files = files
        self._link_preview = LinkPreviewOptions(is_disabled=not link_previews)
        self._moved: OrderedDict[str, int] = OrderedDict()
        """old id → new id of groups that became supergroups; saves a request for each message."""

    def moved(self, chat_id: str, now: int) -> None:
        self._moved[chat_id] = now
        if len(self._moved) > _MOST_MOVED:
            self._moved.popitem(last=False)

    async def send(self, sending: Sending) -> Receipt:
        try:
            async with asyncio.timeout(_SECONDS):
                message_id = await self._send(sending)
        except TimeoutError:
            raise SendUnclear("no_answer", f"Telegram did not answer within {_SECONDS:.0f} s; the message may have arrived.") from None
        return Receipt(message_id=str(message_id), at=datetime.now(UTC))

    async def _send(self, sending: Sending) -> int:
        chat_id = sending.address.chat_id
        try:
            try:
                return await self._to(self._moved.get(chat_id, chat_id), sending)
            except Answered as error:
                if error.moved_to is None:
                    raise
                self.moved(chat_id, error.moved_to)
                log.info("telegram.group_moved chat=%s", chat_id)
                return await self._to(error.moved_to, sending)
        except TelegramError as error:
            raise send_failure(error) from error

    async def _to(self, chat_id: int | str, sending: Sending) -> int:
        part = sending.part
        if sending.replaces is not None and sending.replaces.isdigit():
            message_id = int(sending.replaces)
            if not part.media and await self._edited(chat_id, message_id, part):
                return message_id
            if sending.again is not None and not sending.repeat:
                raise SendUndecided("preview_gone", "The message that showed the answer is gone; an earlier try may have sent a new one.")
            if part.media:  # a preview can't be edited into a file
                await self._api.remove_preview(chat_id, message_id)
        where = where_to(sending.address, sending.reply_to) | {"chat_id": chat_id}
        if not part.media:
            markup = keyboard(part.buttons)
            call = partial(self._api.send_message, link_preview_options=self._link_preview, reply_markup=markup, **where)
            return (await _formed_or_plain(call, part, "text")).message_id
        try:
            contents = await asyncio.to_thread(lambda: [self._files.path(media).read_bytes() for media in part.media])
        except OSError:
            raise SendRefused("media_missing", "The file is not kept any more.") from None
        if len(contents) == 1:
            return (await self._file(where, part, contents[0])).message_id
        items = [InputMediaPhoto(data, filename=media.name) for media, data in zip(part.media, contents, strict=True)]
        return (await _formed_or_plain(partial(self._api.send_media_group, media=items, **where), part, "caption"))[0].message_id

    async def _edited(self, chat_id: int | str, message_id: int, part: OutboundPart) -> bool:
        """Edit a message to show the part. False: that message is gone. An edit may be repeated, so a lost answer is SendLater."""
        where: Where = {"chat_id": chat_id, "message_id": message_id}
        markup = keyboard(part.buttons)
        call = partial(self._api.edit_message_text, link_preview_options=self._link_preview, reply_markup=markup, **where)
        try:
            await _formed_or_plain(call, part, "text")
        except TelegramError as error:
            if refused_as(error, "gone"):
                return False
            if not refused_as(error, "not_modified"):
                failure = send_failure(error)
                raise SendLater(failure.trouble.code, failure.trouble.words) if isinstance(failure, SendUnclear) else failure from error
        return True

    async def _file(self, where: Where, part: OutboundPart, data: bytes) -> Message:
        media = part.media[0]
        file, markup = InputFile(data, filename=media.name), keyboard(part.buttons)
        chat_id, more = where["chat_id"], {name: value for name, value in where.items() if name != "chat_id"}
        try:
            call = partial(self._method(media), chat_id, file, reply_markup=markup, **more)
            return await _formed_or_plain(call, part, "caption")
        except Answered as error:
            if not refused_as(error, "no_photo"):
                raise
        return await _formed_or_plain(partial(self._api.send_document, chat_id, file, reply_markup=markup, **more), part, "caption")

    def _method(self, media: Media) -> Callable[..., Awaitable[Message]]:
        kind = media.media_type.split(";")[0].lower()
        if is_photo(media):
            return self._api.send_photo
        if kind in _AUDIO:
            return self._api.send_audio
        if kind in _VOICE:
            return self._api.send_voice
        return self._api.send_video if kind in _VIDEO else self._api.send_document


async def _formed_or_plain(call: Callable[..., Awaitable[_Sent]], part: OutboundPart, name: Literal["text", "caption"]) -> _Sent:
    """The text as HTML; where Telegram can't parse that, the same words as plain text. `name`: the parameter that takes it."""
    try:
        return await call(**({name: part.text, "parse_mode": ParseMode.HTML} if part.text else {}))
    except Answered as error:
        if not refused_as(error, "bad_html"):
            raise
    log.warning("telegram.form_refused chars=%d", len(part.text))
    return await call(**{name: part.plain})
