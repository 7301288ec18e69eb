"""Feishu's calls: post, edit, show, upload, fetch. https://open.feishu.cn/document/server-docs/im-v1/message/create"""

import asyncio
import logging
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote
from uuid import NAMESPACE_OID, uuid5

import orjson

from assistant.contracts.addresses import Address
from assistant.contracts.channels import SendFailed, SendUndecided
from assistant.contracts.inbox import InboundFile, InboundMessage
from assistant.contracts.outbox import Media
from channels.feishu.api import PLATFORM, FeishuApi
from channels.feishu.cards import MOST_TEXT, card, card_parts, plain
from channels.kit.conversation import PlainWire
from channels.kit.forms import Blame, Piece
from channels.kit.http import Answered, PlatformError, PlatformHttp, multipart
from channels.kit.planning import ButtonRules, MessageRules
from channels.kit.refusals import not_sent, still_there
from channels.kit.sender import Post
from channels.kit.values import Latest, id_at, text_at, value_at

log = logging.getLogger(__name__)
_MOST_IMAGE: Final = 10 << 20
_IMAGES: Final = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp", "image/bmp", "image/tiff"})
RULES: Final = MessageRules(
    platform=PLATFORM,
    texts=card_parts,
    most_text=MOST_TEXT,
    most_caption=MOST_TEXT,
    most_file_bytes=30 << 20,  # https://open.feishu.cn/document/server-docs/im-v1/file/create
    buttons=ButtonRules(rows=10, in_row=5, text=100, can_link=lambda url: url.startswith(("https://", "http://")) and len(url) <= 1000),
)
_KEY_KNOWN: Final = timedelta(minutes=55)
"""Feishu knows a uuid for an hour: at most one message of all requests with it. …/message/create, …/message/reply"""
_GONE: Final = frozenset({"230011", "230019", "230050", "230110", "230111", "230071", "230072"})
_GONE_EDIT: Final = frozenset({"230011", "230050", "230110", "230031"})
_FILES: Final = ("2340", "230055", "230017")
_FORM: Final = frozenset({"230001", "230025", "230054", "230099", "9499"})
_MESSAGES: Final = "/open-apis/im/v1/messages"
_MOST_REMEMBERED: Final = 2000
_MOST_QUOTED: Final = 2000
_LOOK_SECONDS: Final = 1.0
"""The platform waits three for the answer to a call."""


class FeishuWire(PlainWire):
    platform = PLATFORM

    def __init__(self, http: PlatformHttp, api: FeishuApi) -> None:
        self._http = http
        self._api = api
        self.sent: Latest[str] = Latest(_MOST_REMEMBERED)
        """The ids of our messages → their words; and of the topics that we are in → empty."""

    async def post(self, post: Post) -> str | None:
        """The words as a card, and a file as a message behind it, each with a key of its own: a repeat within the hour gives no second one."""
        sending, form = post.sending, post.form
        if sending.again is not None and not sending.repeat and datetime.now(UTC) - sending.again > _KEY_KNOWN:
            raise SendUndecided("key_forgotten", f"An earlier try may have arrived, and {PLATFORM} knows its key no more.")
        files = [await self._upload(media, post.contents[media.digest], as_file=form.as_documents) for media in form.part.media]
        words = post.words or ("↑" if form.part.buttons else "")
        first: str | None = None
        if words:
            kind, content = "interactive", card(words, styled=form.styled, buttons=form.part.buttons, thread=form.thread_id)
            if not form.styled and not form.part.buttons:
                kind, content = "text", plain(words)
            if first := await self._send(post, kind, content, post.key):
                self.sent.put(first, form.part.plain[:_MOST_QUOTED])
        for kind, content in files:
            sent = await self._send(post, kind, content, f"{post.key}f")
            first = first or sent
        return first

    async def edit(self, post: Post, message_id: str) -> bool:
        form = post.form
        content = card(post.words, styled=form.styled, buttons=form.part.buttons, thread=form.thread_id)
        self.sent.put(message_id, form.part.plain[:_MOST_QUOTED])
        return await self._patch(message_id, content)

    async def remove(self, post: Post, message_id: str) -> None:
        try:
            await self._api.call("DELETE", f"{_MESSAGES}/{quote(message_id, safe='')}")
        except (PlatformError, SendFailed) as error:
            log.info("feishu.preview_stays error=%s", type(error).__name__)

    def blamed(self, error: PlatformError) -> Blame | None:
        if not isinstance(error, Answered):
            return None
        code, words = error.code, f"{PLATFORM}: code {error.code}"
        if code in _GONE:
            return ("reply", "thread"), words
        if code.startswith(_FILES):
            return ("kind", "files"), words
        pieces: tuple[Piece, ...] = ("style", "buttons", "reply", "files")
        return (pieces, words) if code in _FORM and "receive_id" not in error.words else None

    def failure(self, error: PlatformError) -> SendFailed:
        return self._api.failure(error)

    async def fetch(self, file: InboundFile, into: Path, most_bytes: int) -> None:
        """`ref`: kind, message, key."""
        kind, message, key = file.ref.split(" ")
        url = f"{self._http.base}{_MESSAGES}/{quote(message, safe='')}/resources/{quote(key, safe='')}?type={kind}"
        await self._http.download(url, into, most_bytes, headers=await self._api.token.headers())

    async def react(self, message: InboundMessage, emoji: str) -> None:
        path = f"{_MESSAGES}/{quote(message.message_id or '', safe='')}/reactions"
        await self._api.call("POST", path, json={"reaction_type": {"emoji_type": emoji}})

    async def show(self, address: Address, text: str, *, reply_to: str | None, message_id: str | None) -> str | None:
        content = card(text, styled=True)
        if message_id is not None:
            return message_id if await self._patch(message_id, content) else None
        return await self._create(address, reply_to, {"msg_type": "interactive", "content": content})

    async def told(self, message_id: str) -> tuple[str, str, str] | None:
        """(kind, content, author) of a message; the author of an app's is its id. None: the platform does not tell."""
        about = value_at(await self._looked(f"{_MESSAGES}/{quote(message_id, safe='')}"), "items", 0)
        told = text_at(about, "msg_type"), text_at(about, "body", "content"), text_at(about, "sender", "id")
        return told if told[0] else None

    async def is_private(self, chat: str) -> bool | None:
        """None: the platform does not tell."""
        mode = text_at(await self._looked(f"/open-apis/im/v1/chats/{quote(chat, safe='')}"), "chat_mode")
        return mode == "p2p" if mode else None

    async def _looked(self, path: str) -> Any:
        try:
            async with asyncio.timeout(_LOOK_SECONDS):
                return await self._api.call("GET", path)
        except (PlatformError, SendFailed, TimeoutError):
            return None

    async def _send(self, post: Post, kind: str, content: str, key: str) -> str | None:
        uuid = str(uuid5(NAMESPACE_OID, f"nanobot:{post.sending.address.chat_id}:{key}"))
        form = post.form
        address = Address(channel="feishu", chat_id=post.sending.address.chat_id, thread_id=form.thread_id)
        return await self._create(address, form.reply_to, {"msg_type": kind, "content": content, "uuid": uuid})

    async def _create(self, address: Address, reply_to: str | None, body: Mapping[str, Any]) -> str | None:
        answered = reply_to or address.thread_id
        if answered:
            more = {"reply_in_thread": True} if address.thread_id else {}
            found = await self._api.call("POST", f"{_MESSAGES}/{quote(answered, safe='')}/reply", json={**body, **more})
        else:
            kind = "open_id" if address.chat_id.startswith("ou_") else "chat_id"
            params = {"receive_id_type": kind}
            found = await self._api.call("POST", _MESSAGES, params=params, json={**body, "receive_id": address.chat_id})
        id = id_at(found, "message_id")
        for mine in filter(None, (id, address.thread_id)):
            self.sent.put(mine, self.sent.get(mine) or "")
        return id or None

    async def _patch(self, message_id: str, content: str) -> bool:
        call = self._api.call("PATCH", f"{_MESSAGES}/{quote(message_id, safe='')}", json={"content": content})
        return await still_there(call, lambda error: error.code in _GONE_EDIT)

    async def _upload(self, media: Media, content: bytes, *, as_file: bool) -> tuple[str, str]:
        """(kind of message, its content)."""
        image = media.media_type in _IMAGES and len(content) <= _MOST_IMAGE and not as_file
        if image:
            path, key, fields = "/open-apis/im/v1/images", "image_key", {"image_type": "message"}
            files = [("image", media.name, media.media_type, content)]
        else:
            path, key, fields = "/open-apis/im/v1/files", "file_key", {"file_type": "stream", "file_name": media.name}
            files = [("file", media.name, media.media_type, content)]
        try:
            found = await self._api.call("POST", path, form=partial(multipart, fields, files))
        except Answered:
            raise
        except PlatformError as error:
            raise not_sent(error, PLATFORM) from error
        return ("image" if image else "file"), orjson.dumps({key: text_at(found, key)}).decode()
