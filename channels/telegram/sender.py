"""An event as Telegram's messages: planned as parts, sent once each."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from telegram import InlineKeyboardButton, InlineKeyboardMarkup, InputFile, InputMediaPhoto, LinkPreviewOptions, Message, ReplyParameters
from telegram.constants import ParseMode
from telegram.error import TelegramError

from assistant.contracts.channels import Sending, SendLater, SendRefused, SendUnclear, SendUndecided
from assistant.contracts.outbox import Button, ButtonRows, Media, MediaFiles, OutboundEvent, OutboundPart, Receipt
from channels.telegram.api import Answered, Api
from channels.telegram.errors import is_gone, is_no_photo, is_parse_refusal, is_unchanged, send_failure
from channels.text.blocks import clean
from channels.text.telegram import telegram_parts

TEXT_UNITS: Final = 4000
"""UTF-16 units of a message, planned; 4096 are allowed."""
CAPTION_UNITS: Final = 1000
"""Of 1024."""
PHOTO_BYTES: Final = 10_000_000
FILE_BYTES: Final = 50_000_000
ALBUM_FILES: Final = 10
PHOTO_TYPES: Final = frozenset({"image/jpeg", "image/png", "image/webp"})
FormattedText = tuple[str, str]
"""A text in Telegram's HTML, and plain."""


def plan(event: OutboundEvent) -> Sequence[OutboundPart]:
    """Text first, then files: a photo or a few as an album, everything else one by one. A text that fits is the caption of the first.

    What replaces a preview begins with text, because an edit can't bring a file. Buttons are under the last part; an album has none.
    """
    for media in event.media:
        if media.size > FILE_BYTES:
            raise SendRefused("too_large", f"{media.name} is larger than the 50 MB that Telegram takes.")
        if media.size == 0:
            raise SendRefused("empty_file", f"{media.name} is empty, which Telegram does not take.")
    texts = _forms(event.text, TEXT_UNITS)
    groups = list(_groups(event.media, albums=not event.buttons))
    if groups and texts and event.replaces is None:
        captions = _forms(event.text, CAPTION_UNITS)
        if len(captions) == 1:
            texts = []
            parts = [_part(captions[0] if place == 0 else ("", ""), group) for place, group in enumerate(groups)]
            return _with_buttons(parts, event.buttons)
    parts = [_part(form) for form in texts] + [_part(("", ""), group) for group in groups]
    if not parts:
        raise SendRefused("empty", "The message has no words that can be seen.")
    return _with_buttons(parts, event.buttons)


def is_photo(media: Media) -> bool:
    return media.media_type in PHOTO_TYPES and media.size <= PHOTO_BYTES


def _forms(text: str, limit: int) -> list[FormattedText]:
    return [(part.text, part.plain) for part in telegram_parts(text, limit)]


def _groups(media: Sequence[Media], *, albums: bool) -> Iterator[tuple[Media, ...]]:
    """Photos that follow one another go as one album, within what one request may hold."""
    album: list[Media] = []
    for file in media:
        fits = is_photo(file) and albums and len(album) < ALBUM_FILES and sum(each.size for each in album) + file.size <= FILE_BYTES
        if album and not fits:
            yield tuple(album)
            album = []
        if is_photo(file) and albums:
            album.append(file)
        else:
            yield (file,)
    if album:
        yield tuple(album)


def _part(form: FormattedText, media: tuple[Media, ...] = ()) -> OutboundPart:
    return OutboundPart(text=form[0], plain=form[1], media=media)


def _with_buttons(parts: list[OutboundPart], buttons: ButtonRows) -> list[OutboundPart]:
    last = parts[-1]
    shown = tuple(tuple(Button(text=clean(button.text), url=button.url) for button in row) for row in buttons)
    return [*parts[:-1], OutboundPart(text=last.text, plain=last.plain, media=last.media, buttons=shown)]


_MOST_BYTES: Final = 64
"""Of what a button carries."""
_WORDS, _PLACE = "t", "#"
"""How that begins: the button's own words, or its place where they are too long."""


def keyboard(rows: ButtonRows) -> InlineKeyboardMarkup | None:
    """Buttons without words are left out; one whose URL Telegram would refuse sends its words instead."""
    made = [
        [_button(button, f"{row}.{column}") for column, button in enumerate(line) if button.text.strip()] for row, line in enumerate(rows)
    ]
    made = [line for line in made if line]
    return InlineKeyboardMarkup(made) if made else None


def pressed(data: str, markup: InlineKeyboardMarkup | None) -> str | None:
    """The words that a press says. `markup`: of the message that the button is under. None: not a button of ours."""
    if data.startswith(_WORDS):
        return data[len(_WORDS) :]
    if data.startswith(_PLACE) and markup is not None:
        return next((button.text for line in markup.inline_keyboard for button in line if button.callback_data == data), None)
    return None


def _button(button: Button, place: str) -> InlineKeyboardButton:
    if button.url is not None and button.url.startswith(("https://", "http://", "tg://")):
        return InlineKeyboardButton(button.text, url=button.url)
    data = _WORDS + button.text
    return InlineKeyboardButton(button.text, callback_data=data if len(data.encode()) <= _MOST_BYTES else _PLACE + place)


log = logging.getLogger(__name__)
_SECONDS: Final = 55.0
"""For a part with all that is tried instead; the port allows 60."""
_MOST_MOVED: Final = 1000
_AUDIO: Final = frozenset({"audio/mpeg", "audio/mp3", "audio/mp4", "audio/m4a", "audio/x-m4a"})
_VOICE: Final = frozenset({"audio/ogg", "audio/opus"})
_VIDEO: Final = frozenset({"video/mp4"})
_Sent = TypeVar("_Sent")
Where = dict[str, Any]
"""The parameters that say where a message goes."""


class TelegramSender:
    def __init__(self, api: Api, files: MediaFiles, *, link_previews: bool) -> None:
        self._api = api
        self._files = files
        self._link_preview = LinkPreviewOptions(is_disabled=not link_previews)
        self._moved: OrderedDict[str, int] = OrderedDict()
        """Groups that became supergroups, by their old id: without it each message to one costs a request more."""

    def moved(self, chat_id: str, now: int) -> None:
        self._moved[chat_id] = now
        if len(self._moved) > _MOST_MOVED:
            self._moved.popitem(last=False)

    async def send(self, sending: Sending) -> Receipt:
        """As `Channel.send`."""
        try:
            async with asyncio.timeout(_SECONDS):
                return await self._send(sending)
        except TimeoutError:
            raise SendUnclear("no_answer", f"Telegram did not answer within {_SECONDS:.0f} s; the message may have arrived.") from None

    async def _send(self, sending: Sending) -> Receipt:
        chat_id = sending.address.chat_id
        try:
            return await self._to(self._moved.get(chat_id, chat_id), sending)
        except Answered as error:
            if error.moved_to is None:
                raise send_failure(error) from error
            self.moved(chat_id, error.moved_to)
            log.info("telegram.group_moved chat=%s", chat_id)
        except TelegramError as error:
            raise send_failure(error) from error
        try:
            return await self._to(self._moved[chat_id], sending)
        except TelegramError as error:
            raise send_failure(error) from error

    async def _to(self, chat_id: int | str, sending: Sending) -> Receipt:
        part = sending.part
        if sending.replaces is not None and sending.replaces.isdigit():
            message_id = int(sending.replaces)
            if not part.media and await self._edited(chat_id, message_id, part):
                return _receipt(message_id)
            if sending.again is not None and not sending.repeat:
                raise SendUndecided("preview_gone", "The message that showed the answer is gone; an earlier try may have sent a new one.")
            if part.media:
                await self._remove(chat_id, message_id)
        where = self._where(chat_id, sending)
        if not part.media:
            return _receipt((await self._text(where, part)).message_id)
        return await self._media(where, part)

    def _where(self, chat_id: int | str, sending: Sending) -> Where:
        where: Where = {"chat_id": chat_id}
        if sending.address.thread_id is not None:
            where["message_thread_id"] = int(sending.address.thread_id)
        if sending.reply_to is not None and sending.reply_to.isdigit():
            where["reply_parameters"] = ReplyParameters(message_id=int(sending.reply_to), allow_sending_without_reply=True)
        return where

    async def _text(self, where: Where, part: OutboundPart) -> Message:
        markup = keyboard(part.buttons)

        async def call(text: str, parse_mode: str | None) -> Message:
            return await self._api.send_message(
                text=text, parse_mode=parse_mode, link_preview_options=self._link_preview, reply_markup=markup, **where
            )

        return await _formed_or_plain(call, part)

    async def _edited(self, chat_id: int | str, message_id: int, part: OutboundPart) -> bool:
        """Put the part in the place of a message. False: that message is gone. What is not known may be done again, so it raises SendLater."""

        async def call(text: str, parse_mode: str | None) -> object:
            return await self._api.edit_message_text(
                chat_id=chat_id,
                message_id=message_id,
                text=text,
                parse_mode=parse_mode,
                link_preview_options=self._link_preview,
                reply_markup=keyboard(part.buttons),
            )

        try:
            await _formed_or_plain(call, part)
        except Answered as error:
            if is_unchanged(error):
                return True
            if is_gone(error):
                return False
            failure = send_failure(error)
        except TelegramError as error:
            failure = send_failure(error)
        else:
            return True
        raise SendLater(failure.trouble.code, failure.trouble.words) if isinstance(failure, SendUnclear) else failure

    async def _remove(self, chat_id: int | str, message_id: int) -> None:
        """A preview that can't become the message, which is a file: what it showed would stand there as if it were one."""
        try:
            await self._api.delete_message(chat_id, message_id)
        except TelegramError as error:
            log.info("telegram.preview_stays chat=%s message=%d reason=%s", chat_id, message_id, type(error).__name__)

    async def _media(self, where: Where, part: OutboundPart) -> Receipt:
        try:
            contents = await asyncio.to_thread(lambda: [self._files.path(media).read_bytes() for media in part.media])
        except OSError:
            raise SendRefused("media_missing", "The file is not kept any more.") from None
        if len(contents) > 1:
            return await self._album(where, part, contents)
        media, data = part.media[0], contents[0]
        try:
            return await self._file(where, part, media, data, as_document=False)
        except Answered as error:
            if not is_no_photo(error):
                raise
            return await self._file(where, part, media, data, as_document=True)

    async def _file(self, where: Where, part: OutboundPart, media: Media, data: bytes, *, as_document: bool) -> Receipt:
        file = InputFile(data, filename=media.name)
        method = self._api.send_document if as_document else self._method(media)

        async def call(text: str, parse_mode: str | None) -> Message:
            caption = {"caption": text, "parse_mode": parse_mode} if text else {}
            sent: Message = await method(where["chat_id"], file, reply_markup=keyboard(part.buttons), **caption, **_without_chat(where))
            return sent

        return _receipt((await _formed_or_plain(call, part)).message_id)

    def _method(self, media: Media) -> Callable[..., Awaitable[Message]]:
        kind = media.media_type.split(";")[0].lower()
        if is_photo(media):
            return self._api.send_photo
        if kind in _AUDIO:
            return self._api.send_audio
        if kind in _VOICE:
            return self._api.send_voice
        return self._api.send_video if kind in _VIDEO else self._api.send_document

    async def _album(self, where: Where, part: OutboundPart, contents: Sequence[bytes]) -> Receipt:
        async def call(text: str, parse_mode: str | None) -> Message:
            items = [InputMediaPhoto(data, filename=media.name) for media, data in zip(part.media, contents, strict=True)]
            caption = {"caption": text, "parse_mode": parse_mode} if text else {}
            first, *_ = await self._api.send_media_group(media=items, **caption, **where)
            return first

        return _receipt((await _formed_or_plain(call, part)).message_id)


async def _formed_or_plain(call: Callable[[str, str | None], Awaitable[_Sent]], part: OutboundPart) -> _Sent:
    """The text in its form; where Telegram can't read that, the same words without it, at once."""
    try:
        return await call(part.text, ParseMode.HTML)
    except Answered as error:
        if not is_parse_refusal(error):
            raise
    log.warning("telegram.form_refused chars=%d", len(part.text))
    return await call(part.plain, None)


def _without_chat(where: Where) -> Where:
    return {name: value for name, value in where.items() if name != "chat_id"}


def _receipt(message_id: int) -> Receipt:
    return Receipt(message_id=str(message_id), at=datetime.now(UTC))
