"""Matrix's events as messages for the assistant, by the rules for rooms. Everything in an event may be of any shape: its sender's client wrote it."""

import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from assistant.contracts.addresses import Address
from assistant.contracts.inbox import FileKind, InboundFile, InboundMessage, Quote, Sender
from assistant.contracts.util import display_name, replace_surrogates
from channels.kit.commands import command_of
from channels.kit.hearing import Hearing, Overheard
from channels.kit.http import value_at
from channels.matrix.rooms import MatrixRoom

FetchEvent = Callable[[str, str], Awaitable[Any]]
"""(room, event id) → that event, decrypted; None: it can't be read."""
_KINDS: Final[Mapping[str, FileKind]] = {"m.image": "image", "m.file": "document", "m.audio": "audio", "m.video": "video"}
_WORDS: Final = frozenset({"m.text", "m.notice", "m.emote"})
_FALLBACK: Final = re.compile(r"(?:> ?[^\n]*\n)+\n?")
"""The quoted lines in front of an answer. https://spec.matrix.org/v1.12/client-server-api/#fallbacks-for-rich-replies"""
_MOST_QUOTED: Final = 4000
_MOST_THREADS: Final = 2000


class MatrixReader:
    def __init__(self, me: str, name: str, hearing: Hearing, fetch: FetchEvent) -> None:
        """`me`: the account's id. `name`: its display name; empty: it has none."""
        self._me = me
        self._names = tuple(each.lower() for each in (me, name, me[1:].partition(":")[0]) if each)
        self._hearing = hearing
        self._fetch = fetch
        self._joined: OrderedDict[tuple[str, str], None] = OrderedDict()
        """Threads (room, first event) that the assistant has a part in."""

    async def read(self, room: MatrixRoom, event: Any) -> InboundMessage | None:
        """None: it is not for the assistant."""
        id, by, content = value_at(event, "event_id"), value_at(event, "sender"), value_at(event, "content")
        if not (isinstance(id, str) and isinstance(by, str) and isinstance(content, dict)) or by == self._me:
            return None
        edited = related(content, "m.replace")  # pyright: ignore[reportUnknownArgumentType]
        said: Any = value_at(content, "m.new_content") if edited else content  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        words = self._words(room, event, said)
        if words is None:
            return None
        text, files = words
        thread, answered = related(content, "m.thread"), _answered(content)  # pyright: ignore[reportUnknownArgumentType]
        before: Any = await self._fetch(room.id, answered) if answered else None
        command = command_of(text, signs="/!")
        by_bot = said.get("msgtype") == "m.notice"
        heard = Overheard(
            chat_id=room.id,
            external_id=id,
            private=room.private,
            mentions_me=self._mentioned(said),
            answers_me=value_at(before, "sender") == self._me or (thread is not None and not room.private and await self._in(room, thread)),
            command=command,
            by_bot=by_bot,
        )
        if not self._hearing.hears(heard):
            return None
        if thread is not None:
            self.joined(room.id, thread)
        return InboundMessage(
            external_id=id,
            address=Address(channel="matrix", chat_id=room.id, thread_id=thread),
            sender=Sender(id=by, name=room.name_of(by)),
            private=room.private,
            text=text or room.name_of(self._me) * (not files),
            quote=self._quote(room, before),
            files=files,
            command=command,
            message_id=edited or id,
            trusted=not by_bot,
            at=_time(value_at(event, "origin_server_ts")),
        )

    def joined(self, room_id: str, thread: str) -> None:
        """The assistant has a part in this thread."""
        self._joined[room_id, thread] = None
        while len(self._joined) > _MOST_THREADS:
            self._joined.popitem(last=False)

    async def _in(self, room: MatrixRoom, thread: str) -> bool:
        """https://spec.matrix.org/latest/client-server-api/#server-side-aggregation-of-mthread-relationships"""
        if (room.id, thread) in self._joined:
            return True
        first = await self._fetch(room.id, thread)
        took_part = value_at(first, "unsigned", "m.relations", "m.thread", "current_user_participated") is True
        if took_part or value_at(first, "sender") == self._me:
            self.joined(room.id, thread)
            return True
        return False

    def _words(self, room: MatrixRoom, event: Any, said: Any) -> tuple[str, tuple[InboundFile, ...]] | None:
        """(text, files) of a message; None: it is none that people write."""
        kind, body = value_at(said, "msgtype"), value_at(said, "body")
        body = replace_surrogates(body) if isinstance(body, str) else ""
        kind = kind if isinstance(kind, str) else ""
        if value_at(event, "type") == "m.sticker":
            file = file_of(said, "sticker", body)
            return (body, (file,)) if file else None
        if kind in _KINDS:
            file = file_of(said, "voice" if "org.matrix.msc3245.voice" in said else _KINDS[kind], body)
            name = value_at(said, "filename")
            caption = body if isinstance(name, str) and name != body else ""
            return (caption, (file,)) if file else None
        if kind == "m.location":
            return f"{body} ({value_at(said, 'geo_uri')})", ()
        if kind not in _WORDS or not body.strip():
            return None
        if kind == "m.emote":
            return f"* {room.name_of(event['sender'])} {body}", ()
        return self._own_words(_FALLBACK.sub("", body, count=1) if _FALLBACK.match(body) and _answered(event["content"]) else body), ()

    def _own_words(self, text: str) -> str:
        """Without the name of the assistant in front."""
        for name in self._names:
            sign = text[len(name) : len(name) + 1]
            if text.lower().startswith(name) and (sign in (":", ",") or (not sign.strip() and name[0] == "@")):
                return text[len(name) + 1 :].strip()
        return text.strip()

    def _mentioned(self, said: Any) -> bool:
        """https://spec.matrix.org/latest/client-server-api/#user-and-room-mentions"""
        named = value_at(said, "m.mentions", "user_ids")
        if isinstance(named, list) and self._me in named:
            return True
        body = value_at(said, "body")
        if not isinstance(body, str):
            return False
        start = body.lower().lstrip()
        return self._me in body or start.startswith(tuple(f"{name}{sign}" for name in self._names for sign in ":,"))

    def _quote(self, room: MatrixRoom, before: Any) -> Quote | None:
        by, content = value_at(before, "sender"), value_at(before, "content")
        if not isinstance(by, str) or (words := self._words(room, before, content)) is None:
            return None
        text, files = words
        mine = by == self._me
        return Quote(
            text=text[:_MOST_QUOTED], author="" if mine else room.name_of(by), author_id="" if mine else by, files=() if mine else files
        )


def related(content: Any, kind: str) -> str | None:
    """The event that this one has a relation of this kind to."""
    relation = value_at(content, "m.relates_to")
    id = value_at(relation, "event_id")
    return id if value_at(relation, "rel_type") == kind and isinstance(id, str) and id else None


def _answered(content: Any) -> str | None:
    """The event that this one answers; not the last one of a thread, which clients name for those that show no threads."""
    relation = value_at(content, "m.relates_to")
    id = value_at(relation, "m.in_reply_to", "event_id")
    return id if isinstance(id, str) and id and value_at(relation, "is_falling_back") is not True else None


def file_of(said: Any, kind: FileKind, body: str) -> InboundFile | None:
    """Its `ref`: the mxc address, or the JSON of an encrypted file (https://spec.matrix.org/latest/client-server-api/#extensions-to-mroommessage-msgtypes).
    None: there is none."""
    hidden = value_at(said, "file")
    url = value_at(hidden if isinstance(hidden, dict) else said, "url")  # pyright: ignore[reportUnknownArgumentType]
    if not isinstance(url, str) or not url.startswith("mxc://"):
        return None
    media_type, size, name = value_at(said, "info", "mimetype"), value_at(said, "info", "size"), value_at(said, "filename")
    return InboundFile(
        name=display_name(replace_surrogates(name) if isinstance(name, str) else body, "file"),
        kind=kind,
        media_type=media_type if isinstance(media_type, str) and len(media_type) < 200 else "application/octet-stream",
        size=size if isinstance(size, int) and 0 <= size < 1 << 50 else None,
        ref=orjson.dumps(hidden).decode() if isinstance(hidden, dict) else url,
    )


def _time(milliseconds: Any) -> datetime:
    """The server's time of an event; now, where it has none that can be."""
    if isinstance(milliseconds, int) and 0 < milliseconds < 1 << 42:
        return datetime.fromtimestamp(milliseconds / 1000, UTC)
    return datetime.now(UTC)
