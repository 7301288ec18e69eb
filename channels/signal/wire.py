"""signal-cli's calls: send, react, typing, files."""

import asyncio
import base64
import logging
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from assistant.contracts.addresses import Address
from assistant.contracts.channels import SendRefused
from assistant.contracts.inbox import InboundFile, InboundMessage
from assistant.contracts.outbox import Media
from channels.kit.conversation import PlainWire
from channels.kit.files import too_large
from channels.kit.http import Answered, PlatformError
from channels.kit.planning import MessageRules
from channels.kit.sender import Post
from channels.kit.values import Latest, list_at, number_at, text_at
from channels.signal.refusals import PLATFORM, blame, failed_result, failure
from channels.signal.rpc import SignalRpc
from channels.signal.settings import SignalSettings
from channels.text.signal import ranges, signal_parts

log = logging.getLogger(__name__)
RULES: Final = MessageRules(
    platform=PLATFORM,
    texts=signal_parts,
    most_text=4000,
    most_caption=4000,
    most_files=10,
    most_file_bytes=95 * 1024 * 1024,
    most_bytes=95 * 1024 * 1024,  # files travel in one request
)
_MOST_REMEMBERED: Final = 1000
_MOST_QUOTED: Final = 2000
_MOST_BY_HTTP: Final = 11 * 1024 * 1024
"""Bytes of a file; in base64 an answer holds no more."""
OWN: Final = "me"


def message_id(timestamp: int, author: str = OWN) -> str:
    """Signal names a message by its author and its time."""
    return f"{timestamp}:{author}"


class SignalWire(PlainWire):
    platform = PLATFORM
    blamed, failure = staticmethod(blame), staticmethod(failure)

    def __init__(self, rpc: SignalRpc, settings: SignalSettings) -> None:
        self._rpc = rpc
        self._settings = settings
        self.me = settings.account
        """The account's own id, once it is known."""
        self._texts: Latest[str] = Latest(_MOST_REMEMBERED)
        """message → its text, which a quote of it shows."""

    async def call(self, method: str, **params: Any) -> Any:
        return await self._rpc.call(method, {"account": self._settings.account, **params})

    async def post(self, post: Post) -> str | None:
        return await self._send(post, {})

    async def edit(self, post: Post, message_id: str) -> bool:
        timestamp, _, author = message_id.partition(":")
        if not timestamp.isdecimal() or author != OWN:
            return False
        await self._send(post, {"editTimestamp": int(timestamp)})
        return True

    async def remove(self, post: Post, message_id: str) -> None:
        try:
            await self.call("remoteDelete", **receiver(post.sending.address.chat_id), targetTimestamp=int(message_id.partition(":")[0]))
        except PlatformError as error:
            log.info("signal.message_stays message=%s reason=%s", message_id, type(error).__name__)

    def remember(self, id: str, text: str) -> None:
        self._texts[id] = text[:_MOST_QUOTED]

    async def fetch(self, file: InboundFile, into: Path, most_bytes: int) -> None:
        id, _, chat = file.ref.partition(" ")
        folder = self._settings.attachments_dir
        if folder is not None and Path(id).name == id and await asyncio.to_thread((folder / id).is_file):
            if (await asyncio.to_thread((folder / id).stat)).st_size > most_bytes:
                raise too_large(most_bytes)
            await asyncio.to_thread(shutil.copyfile, folder / id, into)
            return
        if (file.size or 0) > _MOST_BY_HTTP and self._settings.daemon.startswith("http"):
            words = "signal-cli can't hand out so large a file by HTTP: name its folder as channels.signal.attachmentsDir."
            raise SendRefused("too_large", words)
        try:
            data = text_at(await self.call("getAttachment", id=id, **receiver(chat)), "data")
            size = await asyncio.to_thread(_written, data, into, most_bytes)
        except (Answered, ValueError):
            size = 0
        if not size:
            raise SendRefused("gone", "The file is no longer there.")
        if size > most_bytes:
            raise too_large(most_bytes)

    async def react(self, message: InboundMessage, emoji: str) -> None:
        """With the mark that it was read, which is for its author."""
        timestamp = int((message.message_id or "0").partition(":")[0])
        await self.call("sendReceipt", recipient=message.sender.id, targetTimestamp=[timestamp], type="read")
        target = {"targetAuthor": message.sender.id, "targetTimestamp": timestamp}
        await self.call("sendReaction", **receiver(message.address.chat_id), emoji=emoji, **target)

    async def show_typing(self, address: Address) -> None:
        await self.call("sendTyping", **receiver(address.chat_id))

    async def _send(self, post: Post, more: Mapping[str, Any]) -> str | None:
        form = post.form
        text, styles = ranges(post.words)
        params: dict[str, Any] = {**receiver(post.sending.address.chat_id), "message": text, **more}
        params |= {"textStyle": styles} if styles and form.styled else {}
        if form.part.media:
            params["attachment"] = await asyncio.to_thread(
                lambda: [_data_uri(each, post.contents[each.digest]) for each in form.part.media]
            )
        params |= self._quote(form.reply_to)
        answer = await self.call("send", **params)
        if (failed := failed_result(list_at(answer, "results"))) is not None:
            raise failed
        if not (timestamp := number_at(answer, "timestamp")):
            return None
        self.remember(message_id(timestamp), text)
        return message_id(timestamp)

    def _quote(self, reply_to: str | None) -> Mapping[str, Any]:
        timestamp, _, author = (reply_to or "").partition(":")
        if not timestamp.isdecimal() or not author:
            return {}
        told = self._texts.get(f"{timestamp}:{author}") or ""
        return {"quoteTimestamp": int(timestamp), "quoteAuthor": self.me if author == OWN else author, "quoteMessage": told}


def receiver(chat: str) -> Mapping[str, str]:
    """As signal-cli takes it: a group's id ends with "="."""
    return {"groupId": chat} if chat.endswith("=") else {"recipient": chat}


def _written(data: str, into: Path, most_bytes: int) -> int:
    """Write a file that came as base64, unless it is larger; returns its size. Blocks. Raises ValueError."""
    content = base64.b64decode(data, validate=True)
    if len(content) <= most_bytes:
        into.write_bytes(content)
    return len(content)


def _data_uri(media: Media, content: bytes) -> str:
    return f"data:{media.media_type};filename={quote(media.name, safe='')};base64,{base64.b64encode(content).decode()}"
