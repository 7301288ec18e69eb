"""What is sent to Matrix: messages, edits, reactions, typing; and files both ways."""

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import orjson

from assistant.contracts.addresses import Address
from assistant.contracts.channels import SendFailed, SendRefused
from assistant.contracts.inbox import InboundFile, InboundMessage
from assistant.contracts.outbox import Media
from assistant.contracts.util import new_id
from channels.kit.forms import ANY_BUT_KIND, Blame
from channels.kit.http import Answered, PlatformError
from channels.kit.planning import MessageRules
from channels.kit.refusals import before_post
from channels.kit.sender import Post
from channels.kit.values import Latest, text_at, value_at
from channels.matrix.api import PLATFORM, MatrixApi, errcode, path_of, told
from channels.matrix.places import Places
from channels.matrix.secrecy import Secrecy
from channels.text.html import html_parts

_MOST_CHARS: Final = 7000
"""Of a message's HTML: with its plain text, encrypted, and three bytes a character it is within the 65,536 bytes of an event.
https://spec.matrix.org/latest/client-server-api/#size-limits"""
RULES: Final = MessageRules(
    platform=PLATFORM,
    texts=html_parts,
    most_text=_MOST_CHARS,
    most_caption=_MOST_CHARS,
    most_file_bytes=50 * 1024 * 1024,  # Synapse's own default; a server that takes less refuses the file, and its name is said
    empty_files=True,
)
_FILE_STATUSES: Final = frozenset({400, 403, 413, 415})
_UPLOAD: Final = "upload"
_MOST_SHOWN: Final = 500
_MOST_FALLBACK: Final = 500
"""Characters that clients without edits see of one."""
_TYPING_SECONDS: Final = 9


class MatrixWire:
    platform = PLATFORM

    def __init__(self, api: MatrixApi, places: Places, secrecy: Secrecy) -> None:
        self._api = api
        self._secrecy = secrecy
        self._places = places
        self._previews = Latest[str](_MOST_SHOWN)
        """The transaction of a preview that is being posted: a repeat gives no second one."""
        self._typing = Latest[bool](_MOST_SHOWN)

    async def post(self, post: Post) -> str | None:
        """The key is the transaction id. https://spec.matrix.org/latest/client-server-api/#transaction-identifiers"""
        address = post.sending.address
        room = await self._places.room_of(address.chat_id)
        part, thread, reply_to, sent = post.form.part, post.form.thread_id, post.form.reply_to, None
        file = await self._file(room, part.media[0], post.contents) if part.media else None
        if part.plain or post.form.lines:
            sent = await self.put(room, _text(post) | _relation(thread, reply_to), post.key)
        if file is not None:  # many clients show no words on a file: they are a message of their own, which a repeat does not double
            last = await self.put(room, file | _relation(thread, None if sent else reply_to), f"{post.key}f")
            sent = sent or last
        if address.chat_id in self._typing:
            await self._type(address.chat_id, on=False)
        return sent

    async def edit(self, post: Post, message_id: str) -> bool:
        room = await self._places.room_of(post.sending.address.chat_id)
        if not await self._is_there(room, message_id):
            return False
        await self.put(room, _edit(_text(post), message_id), f"{post.key}e")
        return True

    async def remove(self, post: Post, message_id: str) -> None:
        room = await self._places.room_of(post.sending.address.chat_id)
        await self._api.call("PUT", path_of("rooms", room, "redact", message_id, f"{post.key}d"), json={})

    async def put(self, room: str, content: Mapping[str, Any], transaction: str, *, kind: str = "m.room.message") -> str:
        """Send an event, encrypted where the room is; returns its id. Raises PlatformError, SendFailed."""
        sent, said = await self._secrecy.sealed(room, kind, content)
        answer = await self._api.call("PUT", path_of("rooms", room, "send", sent, transaction), json=said)
        return told(answer, "event_id")

    def blamed(self, error: PlatformError) -> Blame | None:
        if not isinstance(error, Answered):
            return None
        why = f"{PLATFORM}: {error.words}"
        if error.code == _UPLOAD:
            return (("files",), why) if error.status in _FILE_STATUSES else None
        if error.status == 413 or errcode(error) == "M_TOO_LARGE":
            return ("style",), why
        if error.status == 400 and "thread" in error.words.lower():
            return ("thread", "reply"), why
        return (ANY_BUT_KIND, why) if error.status == 400 else None

    def failure(self, error: PlatformError) -> SendFailed:
        return self._api.failure(error)

    async def fetch(self, file: InboundFile, into: Path, most_bytes: int) -> None:
        """https://spec.matrix.org/latest/client-server-api/#get_matrixclientv1mediadownloadservernamemediaid"""
        hidden: Any = orjson.loads(file.ref) if file.ref.startswith("{") else None
        server, _, id = (text_at(hidden, "url") if hidden else file.ref).removeprefix("mxc://").partition("/")
        if not server or not id:
            raise SendRefused("gone", "The file has no address.")
        url = f"/_matrix/client/v1/media/download/{quote(server, safe='')}/{quote(id, safe='')}"
        await self._api.http.download(url, into, most_bytes, headers=await self._api.authorization())
        if hidden:
            await self._secrecy.open_file(hidden, into)

    async def react(self, message: InboundMessage, emoji: str) -> None:
        if message.message_id is None:
            return
        relation = {"m.relates_to": {"rel_type": "m.annotation", "event_id": message.message_id, "key": emoji}}
        transaction = f"r{sha256(message.external_id.encode()).hexdigest()[:24]}"
        await self._api.call("PUT", path_of("rooms", message.address.chat_id, "send", "m.reaction", transaction), json=relation)

    async def show_typing(self, address: Address) -> None:
        if address.chat_id.startswith("!"):
            await self._type(address.chat_id, on=True)

    async def show(self, address: Address, text: str, *, reply_to: str | None, message_id: str | None) -> str | None:
        room = await self._places.room_of(address.chat_id)
        part = html_parts(text, _MOST_CHARS)[0]
        content = _words(part.text, part.plain)
        if message_id is not None:
            await self.put(room, _edit(content, message_id), new_id("p"))
            return message_id
        under_way = f"{address} {reply_to}"
        transaction = self._previews[under_way] = self._previews.get(under_way) or new_id("p")
        posted = await self.put(room, content | _relation(address.thread_id, reply_to), transaction)
        self._previews.pop(under_way, None)
        return posted

    async def _type(self, room: str, *, on: bool) -> None:
        """https://spec.matrix.org/latest/client-server-api/#typing-notifications"""
        if on:
            self._typing[room] = True
        else:
            self._typing.pop(room, None)
        me = (await self._api.login()).user_id
        said = {"typing": True, "timeout": _TYPING_SECONDS * 1000} if on else {"typing": False}
        try:
            await self._api.call("PUT", path_of("rooms", room, "typing", me), json=said)
        except PlatformError:
            if on:
                raise  # else the message is sent, and the sign goes away by itself

    async def _is_there(self, room: str, id: str) -> bool:
        """Whether an event was not deleted. An edit of one that was is taken by the server, and seen by no one."""
        try:
            found = await self._api.call("GET", path_of("rooms", room, "event", id))
        except Answered as error:
            if error.status == 404:
                return False
            raise
        return value_at(found, "unsigned", "redacted_because") is None

    async def _file(self, room: str, media: Media, contents: Mapping[str, bytes]) -> dict[str, Any]:
        """https://spec.matrix.org/latest/client-server-api/#extensions-to-mroommessage-msgtypes"""
        kind = {"image": "m.image", "audio": "m.audio", "video": "m.video"}.get(media.media_type.partition("/")[0], "m.file")
        content, hidden = contents[media.digest], None
        if await self._secrecy.is_encrypted(room):
            content, hidden = await self._secrecy.sealed_file(content)
        try:
            with before_post(PLATFORM):
                url = await self._api.upload(
                    content, media.name if hidden is None else "file", "application/octet-stream" if hidden else media.media_type
                )
        except Answered as error:
            error.code = _UPLOAD
            raise
        place: dict[str, Any] = {"url": url} if hidden is None else {"file": {**hidden, "url": url}}
        about = {"mimetype": media.media_type, "size": media.size}
        return {"msgtype": kind, "body": media.name, "filename": media.name, "info": about, "m.mentions": {}, **place}


def _text(post: Post) -> dict[str, Any]:
    form = post.form
    return _words(
        form.part.text if form.styled and not form.lines else "", "\n\n".join(filter(None, [form.part.plain, "\n".join(form.lines)]))
    )


def _words(html: str, plain: str) -> dict[str, Any]:
    """`m.mentions`: it is for no one's attention, whatever names it holds. `html`: empty where it is plain."""
    content: dict[str, Any] = {"msgtype": "m.text", "body": plain, "m.mentions": {}}
    return content | ({"format": "org.matrix.custom.html", "formatted_body": html} if html and html != plain else {})


def _relation(thread_id: str | None, reply_to: str | None) -> dict[str, Any]:
    """https://spec.matrix.org/latest/client-server-api/#threading"""
    answered = {"m.in_reply_to": {"event_id": reply_to or thread_id}} if reply_to or thread_id else {}
    thread = {"rel_type": "m.thread", "event_id": thread_id, "is_falling_back": reply_to is None} if thread_id else {}
    return {"m.relates_to": thread | answered} if answered else {}


def _edit(content: dict[str, Any], message_id: str) -> dict[str, Any]:
    """https://spec.matrix.org/latest/client-server-api/#event-replacements"""
    shown: dict[str, Any] = {"msgtype": content["msgtype"], "body": f"* {content['body'][:_MOST_FALLBACK]}", "m.mentions": {}}
    return shown | {"m.new_content": content, "m.relates_to": {"rel_type": "m.replace", "event_id": message_id}}
