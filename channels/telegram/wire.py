"""A message as Telegram's calls: text, files and albums, edits, previews; and what a chat shows."""

import logging
import re
from collections.abc import Awaitable, Callable
from html import escape
from pathlib import Path
from typing import Any, Final

from assistant.contracts.addresses import Address
from assistant.contracts.channels import SendRefused
from assistant.contracts.errors import StoreUnavailable
from assistant.contracts.inbox import InboundFile, InboundMessage
from assistant.contracts.outbox import Button, ButtonRows, Media
from assistant.contracts.util import replace_surrogates
from channels.kit.commands import button_value
from channels.kit.http import Answered, PlatformError, value_at
from channels.kit.planning import ButtonRules, MessageRules
from channels.kit.sender import Post
from channels.kit.values import Latest
from channels.telegram.api import TelegramApi, Upload, id_of
from channels.telegram.refusals import blamed, refused_as, send_failure
from channels.telegram.settings import TelegramSettings
from channels.text.blocks import utf16
from channels.text.telegram import telegram_parts

log = logging.getLogger(__name__)
_PHOTO_BYTES: Final = 10_000_000
_FILE_BYTES: Final = 50_000_000
_TEXT_UNITS, _MOST_TEXT, _MOST_CAPTION = 4000, 4096, 1024
"""UTF-16 units: of a planned message, and what Telegram takes of a text and of a caption; parts are planned with room."""
_URL: Final = re.compile(
    r"tg://[\w-]+\S*|https?://(?:\d{1,3}(?:\.\d{1,3}){3}|[^\s/?#:@]+\.[^\s/?#:@.\d][^\s/?#:@.]+)(?::\d{1,5})?(?:[/?#]\S*)?", re.IGNORECASE
)
_METHODS: Final = {
    **dict.fromkeys(("image/jpeg", "image/png", "image/webp"), "Photo"),
    **dict.fromkeys(("audio/mpeg", "audio/mp3", "audio/mp4", "audio/m4a", "audio/x-m4a"), "Audio"),
    **dict.fromkeys(("audio/ogg", "audio/opus"), "Voice"),
    "video/mp4": "Video",
}
"""What a file is shown as; others are documents."""
_BUTTON_BYTES: Final = 64
_FETCH_BYTES: Final = 20_000_000
_TOO_LARGE: Final = "it is larger than the 20 MB that Telegram lets bots fetch"
_PREVIEW_SECONDS: Final = 2.0
"""For one call of a preview: the answer waits for `close`."""


def _shown_as(media: Media) -> str:
    kind = _METHODS.get(media.media_type.split(";")[0].lower(), "Document")
    return "Document" if kind == "Photo" and media.size > _PHOTO_BYTES else kind


def can_link(url: str) -> bool:
    """Whether a button may lead there: Telegram wants a host with a dot, or one of its own addresses."""
    return _URL.fullmatch(url) is not None


RULES: Final = MessageRules(
    platform="Telegram",
    texts=telegram_parts,
    most_text=_TEXT_UNITS,
    most_caption=1000,
    most_files=10,
    most_file_bytes=_FILE_BYTES,
    most_bytes=_FILE_BYTES,
    buttons=ButtonRules(rows=12, in_row=8, text=1000, can_link=can_link),
    together=lambda before, after: _shown_as(before) == _shown_as(after) == "Photo",
    album_has_buttons=False,
)


def first_part(text: str) -> str:
    """What of an answer fits a preview, without half a character at its end."""
    text = replace_surrogates(text).replace("\x00", "")
    units = text.encode("utf-16-le")
    return text if len(units) <= 2 * _TEXT_UNITS else units[: 2 * _TEXT_UNITS].decode("utf-16-le", "ignore") + " …"


def seconds_in(address: Address) -> float:
    """Between two edits of a preview: a group takes 20 messages a minute in all."""
    return 4.0 if address.chat_id.startswith(("-", "@")) else 1.0


class TelegramWire:
    """`kit.sender.Posting` and `kit.conversation.ChatWire`. Follows groups that become supergroups."""

    platform = "Telegram"
    blamed, failure = staticmethod(blamed), staticmethod(send_failure)

    def __init__(self, api: TelegramApi, settings: TelegramSettings) -> None:
        self._api = api
        self._settings = settings
        self._links = {"is_disabled": not settings.link_previews}
        self.moved: Latest[str] = Latest(1000)
        """old id → new id of groups that became supergroups; saves a request for each message."""
        self.tell_moved: Callable[[str, str], Awaitable[None]] | None = None
        """Told (old id, new id) of such a group; None: the channel has not run."""

    async def post(self, post: Post) -> str | None:
        form, part = post.form, post.form.part
        where = _where(form.thread_id, form.reply_to)
        if not part.media:
            more: dict[str, Any] = {"link_preview_options": self._links, "reply_markup": _keyboard(part.buttons)}
            more |= _words(post, "text", _MOST_TEXT)
            return id_of(await self._call("sendMessage", post.sending.address, **where, **more))
        caption = _words(post, "caption", _MOST_CAPTION)
        files: dict[str, Upload] = {f"f{place}": (media, post.contents[media.digest]) for place, media in enumerate(part.media)}
        if len(files) > 1:
            items: list[dict[str, Any]] = [{"type": "photo", "media": f"attach://{name}"} for name in files]
            items[0] |= caption
            return id_of(await self._call("sendMediaGroup", post.sending.address, files, media=items, **where))
        kind = "Document" if form.as_documents else _shown_as(part.media[0])
        file = {kind.lower(): "attach://f0", "reply_markup": _keyboard(part.buttons)}
        return id_of(await self._call(f"send{kind}", post.sending.address, files, **where, **file, **caption))

    async def edit(self, post: Post, message_id: str) -> bool:
        more = {"link_preview_options": self._links, "reply_markup": _keyboard(post.form.part.buttons)}
        return await self._edit(post.sending.address, message_id, **more, **_words(post, "text", _MOST_TEXT))

    async def remove(self, post: Post, message_id: str) -> None:
        await self.unshow(post.sending.address, message_id)

    async def unshow(self, address: Address, message_id: str) -> bool:
        """Delete a message that showed an answer. False: it stays, which is logged."""
        try:
            return bool(await self._call("deleteMessage", address, seconds=_PREVIEW_SECONDS, message_id=int(message_id)))
        except PlatformError as error:
            log.info("telegram.preview_stays chat=%s message=%s reason=%s", address.chat_id, message_id, type(error).__name__)
            return False

    async def fetch(self, file: InboundFile, into: Path, most_bytes: int) -> None:
        if file.size is not None and file.size > _FETCH_BYTES and self._settings.api_base == "https://api.telegram.org":
            raise SendRefused("too_large", f"{file.name}: {_TOO_LARGE}.")
        try:
            path: object = value_at(await self._api.call("getFile", file_id=file.ref), "file_path")
        except Answered as error:
            if error.status not in (400, 404):
                raise
            words = _TOO_LARGE if "too big" in error.words else f"Telegram does not give it out: {error.words}"
            raise SendRefused("not_fetched", f"{file.name}: {words}.") from error
        if not isinstance(path, str) or path.startswith("/"):
            raise SendRefused(
                "not_fetched", f"{file.name}: the Bot API server has it as a file of its own machine and does not give it out."
            )
        await self._api.download(path, into, most_bytes)

    async def react(self, message: InboundMessage, emoji: str) -> None:
        reaction = [{"type": "emoji", "emoji": emoji}]
        await self._call("setMessageReaction", message.address, message_id=int(message.message_id or 0), reaction=reaction)

    async def show_typing(self, address: Address) -> None:
        await self._call("sendChatAction", address, action="typing", **_where(address.thread_id, None))

    async def show(self, address: Address, text: str, *, reply_to: str | None, message_id: str | None) -> str | None:
        more: dict[str, Any] = {"seconds": _PREVIEW_SECONDS, "text": text, "link_preview_options": self._links}
        if message_id is None:
            return id_of(await self._call("sendMessage", address, **_where(address.thread_id, reply_to), **more))
        return message_id if await self._edit(address, message_id, **more) else None

    async def _edit(self, address: Address, message_id: str, **params: Any) -> bool:
        """False: that message is gone."""
        try:
            await self._call("editMessageText", address, message_id=int(message_id), **params)
        except Answered as error:
            if not refused_as(error, "not_modified") and not refused_as(error, "gone"):
                raise
            return not refused_as(error, "gone")
        return True

    async def _call(self, method: str, address: Address, files: dict[str, Upload] | None = None, **params: Any) -> Any:
        """To the chat of this address, wherever it has moved."""
        chat_id = address.chat_id
        try:
            return await self._api.call(method, files, chat_id=self.moved.get(chat_id, chat_id), **params)
        except Answered as error:
            now = error.at("parameters", "migrate_to_chat_id")
            if not isinstance(now, int):
                raise
        result = await self._api.call(method, files, chat_id=str(now), **params)
        await self._follow(chat_id, str(now))
        return result

    async def _follow(self, chat_id: str, now: str) -> None:
        log.info("telegram.group_moved chat=%s", chat_id)
        self.moved[chat_id] = now
        if self.tell_moved is not None:
            try:
                await self.tell_moved(chat_id, now)
            except StoreUnavailable:  # the group's own message tells it again
                log.warning("telegram.move_not_kept chat=%s", chat_id)


def _where(thread_id: str | None, reply_to: str | None) -> dict[str, Any]:
    """The topic, and the message that is answered."""
    where: dict[str, Any] = {"message_thread_id": int(thread_id)} if thread_id is not None else {}
    if reply_to is not None and reply_to.isdecimal():
        where["reply_parameters"] = {"message_id": int(reply_to), "allow_sending_without_reply": True}
    return where


def _words(post: Post, name: str, most: int) -> dict[str, str]:
    """The text as HTML or plain, under the parameter `name`."""
    words = post.within(lambda plain: utf16(plain) <= most, lambda lines: escape(lines, quote=False))
    return {name: words, **({"parse_mode": "HTML"} if post.form.styled else {})} if words else {}


def _keyboard(rows: ButtonRows) -> dict[str, Any] | None:
    made = [[_button(button, f"{row}.{column}") for column, button in enumerate(line)] for row, line in enumerate(rows)]
    return {"inline_keyboard": made} if made else None


def _button(button: Button, place: str) -> dict[str, str]:
    if button.url is not None:
        return {"text": button.text, "url": button.url}
    value = button.given if button.command is not None else button_value(button, place, _BUTTON_BYTES)
    return {"text": button.text, "callback_data": value}
