"""Sends the parts of an event to Telegram, each once, in the richest form that is taken."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from html import escape
from typing import Any, Final

from telegram import InputFile, InputMediaPhoto, LinkPreviewOptions, Message, ReplyParameters
from telegram.constants import ParseMode
from telegram.error import TelegramError

from assistant.contracts.addresses import Address
from assistant.contracts.channels import Sending, SendLater, SendRefused, SendUnclear, SendUndecided
from assistant.contracts.errors import StoreUnavailable
from assistant.contracts.outbox import Media, MediaFiles, OutboundPart, Receipt
from channels.kit.forms import MessageForm, in_some_form, named
from channels.telegram.api import Answered, Api
from channels.telegram.plan import is_photo, keyboard
from channels.telegram.refusals import blamed, refused_as, send_failure
from channels.text.blocks import utf16

log = logging.getLogger(__name__)
_SECONDS: Final = 55.0
"""For a part with all its retries; the port allows 60."""
_MOST_MOVED: Final = 1000
_MOST_TEXT, _MOST_CAPTION = 4096, 1024
"""UTF-16 units that Telegram takes; parts are planned with room."""
_AUDIO: Final = frozenset({"audio/mpeg", "audio/mp3", "audio/mp4", "audio/m4a", "audio/x-m4a"})
_VOICE: Final = frozenset({"audio/ogg", "audio/opus"})
_VIDEO: Final = frozenset({"video/mp4"})
Where = dict[str, Any]
"""Parameters: the chat, the topic, and the message that is answered."""
Moved = Callable[[str, str], Awaitable[None]]


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
        self.tell_moved: Moved | None = None
        """Told (old id, new id) of such a group; None: the channel has not run."""

    def moved(self, chat_id: str, now: int) -> None:
        self._moved[chat_id] = now
        if len(self._moved) > _MOST_MOVED:
            self._moved.popitem(last=False)

    async def send(self, sending: Sending) -> Receipt:
        try:
            async with asyncio.timeout(_SECONDS):
                message_id, notice = await self._send(sending)
        except TimeoutError:
            raise SendUnclear("no_answer", f"Telegram did not answer within {_SECONDS:.0f} s; the message may have arrived.") from None
        return Receipt(message_id=str(message_id), at=datetime.now(UTC), notice=notice)

    async def _send(self, sending: Sending) -> tuple[int, str]:
        """(the message's id, what was left out)."""
        chat_id = sending.address.chat_id
        try:
            try:
                return await self._to(self._moved.get(chat_id, chat_id), sending)
            except Answered as error:
                if error.moved_to is None:
                    raise
                sent = await self._to(error.moved_to, sending)
                await self._follow(chat_id, error.moved_to)
                return sent
        except TelegramError as error:
            raise send_failure(error) from error

    async def _follow(self, chat_id: str, now: int) -> None:
        log.info("telegram.group_moved chat=%s", chat_id)
        self.moved(chat_id, now)
        if self.tell_moved is not None:
            try:
                await self.tell_moved(chat_id, str(now))
            except StoreUnavailable:  # the group's own message tells it again
                log.warning("telegram.move_not_kept chat=%s", chat_id)

    async def _to(self, chat_id: int | str, sending: Sending) -> tuple[int, str]:
        part = sending.part
        form = MessageForm(part=part, reply_to=sending.reply_to, thread_id=sending.address.thread_id)
        if sending.replaces is not None and sending.replaces.isdigit():
            message_id = int(sending.replaces)
            if not part.media and (notice := await self._edited(chat_id, message_id, form)) is not None:
                return message_id, notice
            if sending.again is not None and not sending.repeat:
                raise SendUndecided("preview_gone", "The message that showed the answer is gone; an earlier try may have sent a new one.")
            if part.media:  # a preview can't be edited into a file
                await self._api.remove_preview(chat_id, message_id)
        contents = await self._read(part.media)
        (sent, more), form = await in_some_form(form, partial(self._post, chat_id, contents), Answered, blamed, channel="telegram")
        return sent, "; ".join(filter(None, [form.notice, *more]))

    async def _read(self, media: Sequence[Media]) -> dict[str, bytes]:
        """By digest. Raises SendRefused."""
        try:
            return await asyncio.to_thread(lambda: {each.digest: self._files.path(each).read_bytes() for each in media})
        except OSError:
            raise SendRefused("media_missing", "The file is not kept any more.") from None

    async def _post(self, chat_id: int | str, contents: dict[str, bytes], form: MessageForm) -> tuple[int, list[str]]:
        """(the first message's id, what of an album was left out). Raises Answered and the other errors of `TelegramHttp`."""
        part = form.part
        where = where_to(Address(channel="telegram", chat_id=str(chat_id), thread_id=form.thread_id), form.reply_to)
        if form.apart and part.media:
            words = replace(form, part=replace(part, media=()))
            first, _ = await self._post(chat_id, contents, words)
            files = replace(form, part=OutboundPart(text="", plain="", media=part.media), apart=False, lines=(), notices=())
            return first, await self._behind_words(chat_id, contents, files)
        markup = keyboard(part.buttons)
        if not part.media:
            call = partial(self._api.send_message, link_preview_options=self._link_preview, reply_markup=markup, **where)
            return (await call(**_words(form, "text", _MOST_TEXT))).message_id, []
        if len(part.media) > 1 and not form.single:
            items = [InputMediaPhoto(contents[media.digest], filename=media.name) for media in part.media]
            said = _words(form, "caption", _MOST_CAPTION)
            return (await self._api.send_media_group(media=items, **where, **said))[0].message_id, []
        if len(part.media) > 1:
            return await self._one_by_one(chat_id, contents, form)
        media = next(iter(part.media))
        send = self._api.send_document if form.as_documents else self._method(media)
        file = InputFile(contents[media.digest], filename=media.name)
        rest = {name: value for name, value in where.items() if name != "chat_id"}
        message = await send(where["chat_id"], file, reply_markup=markup, **rest, **_words(form, "caption", _MOST_CAPTION))
        return message.message_id, []

    async def _behind_words(self, chat_id: int | str, contents: dict[str, bytes], form: MessageForm) -> list[str]:
        """The files of a part whose words were sent, so that no refusal may bring those again; returns what was left out."""
        try:
            (_, left), taken = await in_some_form(form, partial(self._post, chat_id, contents), Answered, blamed, channel="telegram")
        except TelegramError as error:
            if not isinstance(error, Answered) or blamed(error) is None:
                raise SendUnclear("files_cut", f"Telegram took the words, and not the files: {send_failure(error)}") from error
            return [f"{named(form.part.media)} left out (Telegram: {error.description})"]
        return [*taken.notices, *left]

    async def _one_by_one(self, chat_id: int | str, contents: dict[str, bytes], form: MessageForm) -> tuple[int, list[str]]:
        """An album as messages of its own. A file that no form brings is left out, unless nothing was sent."""
        first: int | None = None
        left: list[str] = []
        part = form.part
        for media in part.media:
            words = ("", "") if first is not None else (part.text, part.plain)
            one = replace(form, part=OutboundPart(text=words[0], plain=words[1], media=(media,)), single=False, notices=())
            try:
                (sent, _), taken = await in_some_form(one, partial(self._post, chat_id, contents), Answered, blamed, channel="telegram")
            except TelegramError as error:
                if first is not None and (not isinstance(error, Answered) or blamed(error) is None):
                    raise SendUnclear("album_cut", f"Telegram took some files of the album, and then: {send_failure(error)}") from error
                if not isinstance(error, Answered) or blamed(error) is None or (first is None and media is part.media[-1]):
                    raise
                left.append(f"{media.name} left out (Telegram: {error.description})")
            else:
                first = sent if first is None else first
                left += taken.notices
        assert first is not None
        return first, left

    async def _edited(self, chat_id: int | str, message_id: int, form: MessageForm) -> str | None:
        """Edit a message to show the part; returns what was left out. None: that message is gone. An edit may be repeated, so a lost answer is
        SendLater."""
        where: Where = {"chat_id": chat_id, "message_id": message_id, "link_preview_options": self._link_preview}

        async def edit(form: MessageForm) -> object:
            return await self._api.edit_message_text(reply_markup=keyboard(form.part.buttons), **where, **_words(form, "text", _MOST_TEXT))

        try:
            _, form = await in_some_form(replace(form, reply_to=None, thread_id=None), edit, Answered, blamed, channel="telegram")
        except TelegramError as error:
            if refused_as(error, "gone"):
                return None
            if not refused_as(error, "not_modified"):
                failure = send_failure(error)
                raise SendLater(failure.trouble.code, failure.trouble.words) if isinstance(failure, SendUnclear) else failure from error
        return form.notice

    def _method(self, media: Media) -> Callable[..., Awaitable[Message]]:
        kind = media.media_type.split(";")[0].lower()
        if is_photo(media):
            return self._api.send_photo
        if kind in _AUDIO:
            return self._api.send_audio
        if kind in _VOICE:
            return self._api.send_voice
        return self._api.send_video if kind in _VIDEO else self._api.send_document


def _words(form: MessageForm, name: str, most: int) -> dict[str, Any]:
    """The text as HTML or plain, under the parameter `name`, with the lines of buttons that are left out where they fit."""
    part = form.part
    plain = "\n\n".join(filter(None, [part.plain, "\n".join(form.lines)]))
    fits = utf16(plain) <= most
    if not form.styled:
        return {name: plain if fits else part.plain}
    if not part.text and not (form.lines and fits):
        return {}
    lines = [escape("\n".join(form.lines), quote=False)] if form.lines and fits else []
    return {name: "\n\n".join(filter(None, [part.text, *lines])), "parse_mode": ParseMode.HTML}
