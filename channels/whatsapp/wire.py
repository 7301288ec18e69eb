"""The Cloud API's calls. https://developers.facebook.com/documentation/business-messaging/whatsapp/messages/send-messages"""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from assistant.contracts.addresses import Address
from assistant.contracts.channels import SendLater, SendRefused
from assistant.contracts.inbox import InboundFile, InboundMessage
from assistant.contracts.outbox import ButtonRows, Media, OutboundEvent, OutboundPart
from channels.kit.commands import button_value
from channels.kit.conversation import PlainWire
from channels.kit.http import Answered, PlatformHttp, Unanswered, multipart
from channels.kit.planning import ButtonRules, MessageRules, plan_message
from channels.kit.refusals import not_sent
from channels.kit.sender import Post
from channels.kit.values import Latest, text_at
from channels.text.whatsapp import whatsapp_parts
from channels.whatsapp.inbound import MOST_QUOTED
from channels.whatsapp.refusals import CLOSED_WORDS, PLATFORM, WINDOW_CLOSED, blame, code_of, failure
from channels.whatsapp.settings import WhatsAppSettings
from channels.whatsapp.window import AnswerWindows

_MB: Final = 1024 * 1024
_KINDS: Final = {
    "image": (5 * _MB, frozenset({"image/jpeg", "image/png"})),
    "audio": (16 * _MB, frozenset({"audio/aac", "audio/amr", "audio/mpeg", "audio/mp4", "audio/ogg"})),
    "video": (16 * _MB, frozenset({"video/mp4", "video/3gpp"})),
}
"""(most bytes, types) of what is shown as what it is; everything else is a document.
https://developers.facebook.com/documentation/business-messaging/whatsapp/business-phone-numbers/media#supported-media-types"""
RULES: Final = MessageRules(
    platform=PLATFORM,
    texts=whatsapp_parts,
    most_text=4096,
    most_caption=1024,
    most_file_bytes=100 * _MB,
    buttons=ButtonRules(rows=1, in_row=10, text=24, can_link=lambda url: False),
)
_APART: Final = replace(RULES, most_caption=0)
_MOST_BUTTONS: Final = 3
_MOST_BUTTON: Final = 20
_MOST_BUTTON_BODY: Final = 1024
"""More, or longer ones, become a list. https://developers.facebook.com/documentation/business-messaging/whatsapp/messages/interactive-list-messages"""
_MOST_KNOWN: Final = 4096
_FILE_HOSTS: Final = ("lookaside.fbsbx.com",)
"""It is told our token. https://developers.facebook.com/documentation/business-messaging/whatsapp/business-phone-numbers/media#download-media"""


def kind_of(media: Media) -> str:
    fitting = (kind for kind, (most, types) in _KINDS.items() if media.media_type in types and media.size <= most)
    return next(fitting, "document")


def plan(event: OutboundEvent) -> Sequence[OutboundPart]:
    """Words beside audio, and buttons beside files, stand in a message of their own: neither takes the other."""
    if not event.media:
        return plan_message(event, RULES)
    if event.buttons and not event.text.strip():
        return plan_message(event, replace(RULES, buttons=None))
    apart = bool(event.buttons) or kind_of(event.media[0]) == "audio"
    parts = plan_message(event, _APART if apart else RULES)
    last = parts[-1]
    if not (last.media and last.buttons):
        return parts
    texts = [part for part in parts if not part.media]
    files = [replace(part, buttons=(), notice="") for part in parts if part.media]
    return [*files, *texts[:-1], replace(texts[-1], buttons=last.buttons, notice=last.notice)]


class WhatsAppWire(PlainWire):
    platform = PLATFORM
    blamed, failure = staticmethod(blame), staticmethod(failure)

    def __init__(self, http: PlatformHttp, settings: WhatsAppSettings, windows: AnswerWindows, *, patience: float) -> None:
        """`patience`: seconds in which a status may tell that an unanswered message arrived."""
        self._http = http
        self._settings = settings
        self._windows = windows
        self._patience = patience
        self._own = f"/{settings.phone_number_id}"
        self._ids: Latest[str] = Latest(_MOST_KNOWN)
        """key → the id of the message that came with it, by the statuses of this process."""
        self._told = asyncio.Condition()
        self._last: Latest[str] = Latest(_MOST_KNOWN)
        """chat → the id of the person's last message, which the typing indicator needs."""
        self.texts: Latest[tuple[str, str]] = Latest(_MOST_KNOWN // 4)
        """See `WhatsAppReader`."""

    async def post(self, post: Post) -> str | None:
        if (id := await self._posted(post)) is not None:
            self.texts[id] = (post.form.part.plain[:MOST_QUOTED], "")
        return id

    async def _posted(self, post: Post) -> str | None:
        if post.sending.again is not None and (known := self._ids.get(post.key)) is not None:
            return known
        chat = post.sending.address.chat_id
        if await self._windows.closed(chat):
            return await self._reopen(post)
        try:
            return await self._send(post, await self._content(post))
        except Answered as error:
            if code_of(error) != WINDOW_CLOSED:
                raise
            await self._windows.shut(chat, datetime.now(UTC))
            return await self._reopen(post)

    async def arrived(self, key: str, message_id: str) -> None:
        """A status came with the key of a message."""
        self._ids[key] = message_id
        async with self._told:
            self._told.notify_all()

    def wrote(self, chat: str, message_id: str) -> None:
        self._last[chat] = message_id

    async def fetch(self, file: InboundFile, into: Path, most_bytes: int) -> None:
        try:
            url = text_at(await self._http.json("GET", f"/{quote(file.ref, safe='')}"), "url")
        except Answered as error:
            if error.status not in (400, 404):
                raise
            url = ""
        if not url:
            raise SendRefused("gone", "The file is no longer there.")
        await self._http.download(url, into, most_bytes, hosts=_FILE_HOSTS, headers=self._http.headers)

    async def react(self, message: InboundMessage, emoji: str) -> None:
        reaction = {"message_id": message.message_id, "emoji": emoji}
        await self._call({**_to(message.address.chat_id), "type": "reaction", "reaction": reaction})

    async def show_typing(self, address: Address) -> None:
        """Marks the person's messages as read, too. https://developers.facebook.com/documentation/business-messaging/whatsapp/typing-indicators/"""
        if (last := self._last.get(address.chat_id)) is not None:
            seen = {"messaging_product": "whatsapp", "status": "read", "message_id": last}
            await self._call({**seen, "typing_indicator": {"type": "text"}})

    async def _content(self, post: Post) -> Mapping[str, Any]:
        part = post.form.part
        if part.media:
            media = part.media[0]
            kind = "document" if post.form.as_documents else kind_of(media)
            file: dict[str, Any] = {"id": await self._upload(media, post.contents[media.digest])}
            file |= {"filename": media.name} if kind == "document" else {}
            file |= {"voice": True} if kind == "audio" and media.media_type == "audio/ogg" else {}
            file |= {"caption": post.words} if post.words and kind != "audio" else {}
            return {"type": kind, kind: file}
        if part.buttons:
            return {"type": "interactive", "interactive": _interactive(post.words, part.buttons)}
        return {"type": "text", "text": {"body": post.words, "preview_url": self._settings.link_previews}}

    async def _upload(self, media: Media, content: bytes) -> str:
        form = multipart({"messaging_product": "whatsapp", "type": media.media_type}, [("file", media.name, media.media_type, content)])
        try:
            if id := text_at(await self._http.json("POST", f"{self._own}/media", form=form), "id"):
                return id
            raise Unanswered("the answer holds no id")
        except Unanswered as error:
            raise not_sent(error, PLATFORM) from None

    async def _send(self, post: Post, content: Mapping[str, Any]) -> str | None:
        body = {**_to(post.sending.address.chat_id), **content, "biz_opaque_callback_data": post.key}
        if post.form.reply_to is not None:
            body["context"] = {"message_id": post.form.reply_to}
        try:
            return await self._call(body)
        except Unanswered:
            if (known := await self._status_of(post.key)) is None:
                raise
            return known

    async def _status_of(self, key: str) -> str | None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._patience), self._told:
                await self._told.wait_for(lambda: key in self._ids)
        return self._ids.get(key)

    async def _reopen(self, post: Post) -> str | None:
        """As a template, where the words fit into it; else its beginning is sent once, and the message waits for an answer."""
        template = self._settings.templates.get("reopen")
        if template is None:
            raise SendRefused("window_closed", CLOSED_WORDS)
        chat, part = post.sending.address.chat_id, post.form.part
        line = " ".join(" ".join([part.plain, *post.form.lines, *[media.name for media in part.media]]).split())
        whole = len(line) <= template.most and not part.media and not part.buttons
        if whole or not await self._windows.asked(chat):
            said = line if len(line) <= template.most else line[: template.most - 1] + "…"
            components = [{"type": "body", "parameters": [{"type": "text", "text": said}]}]
            named = {"name": template.name, "language": {"code": template.language}, "components": components}
            sent = await self._send(post, {"type": "template", "template": named})
            if whole:
                return sent
            await self._windows.ask(chat)
        words = "More than 24 hours passed since the person wrote. The beginning went out as a template; the message waits for an answer."
        raise SendLater("window_closed", words, counts=False)

    async def _call(self, body: Mapping[str, Any]) -> str | None:
        return text_at(await self._http.json("POST", f"{self._own}/messages", json=body), "messages", 0, "id") or None


def _to(chat: str) -> Mapping[str, Any]:
    """`recipient` holds a business-scoped user id, `to` a number."""
    return {"messaging_product": "whatsapp", "recipient_type": "individual", "to" if chat.isdigit() else "recipient": chat}


def _interactive(words: str, rows: ButtonRows) -> Mapping[str, Any]:
    buttons = [(button_value(button, f"0.{place}", 200), button.text) for row in rows for place, button in enumerate(row)]
    few = len(buttons) <= _MOST_BUTTONS and all(len(text) <= _MOST_BUTTON for _, text in buttons) and len(words) <= _MOST_BUTTON_BODY
    if few:
        replies = [{"type": "reply", "reply": {"id": id, "title": text}} for id, text in buttons]
        return {"type": "button", "body": {"text": words}, "action": {"buttons": replies}}
    listed = [{"id": id, "title": text} for id, text in buttons]
    return {"type": "list", "body": {"text": words}, "action": {"button": "☰", "sections": [{"rows": listed}]}}
