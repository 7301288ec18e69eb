"""Matrix's events as messages for the assistant, by the rules for rooms. Everything in an event may be of any shape: its sender's client wrote it."""

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import orjson

from assistant.contracts.addresses import Address
from assistant.contracts.inbox import FileKind, InboundFile, InboundMessage, Quote, Sender
from channels.kit.commands import command_of
from channels.kit.files import inbound_file
from channels.kit.hearing import Hearing, Overheard
from channels.kit.values import Latest, id_at, list_at, text_at, time_at, value_at
from channels.matrix.rooms import MatrixRoom

FetchEvent = Callable[[str, str], Awaitable[Any]]
"""(room, event id) → that event, decrypted; None: it can't be read."""
_KINDS: Final[Mapping[str, FileKind]] = {"m.image": "image", "m.file": "document", "m.audio": "audio", "m.video": "video"}
_WORDS: Final = frozenset({"m.text", "m.notice", "m.emote"})
_FALLBACK: Final = re.compile(r"(?:> ?[^\n]*\n)+\n?")
"""The quoted lines in front of an answer. https://spec.matrix.org/v1.12/client-server-api/#fallbacks-for-rich-replies"""
_MOST_QUOTED: Final = 4000
_MOST_THREADS: Final = 2000
MOST_ID: Final = 255
"""https://spec.matrix.org/latest/appendices/#common-identifier-format"""


class MatrixReader:
    def __init__(self, me: str, name: str, hearing: Hearing, fetch: FetchEvent) -> None:
        """`me`: the account's id. `name`: its display name; empty: it has none."""
        self._me = me
        self._names = tuple(each.lower() for each in (me, name, me[1:].partition(":")[0]) if each)
        self._hearing = hearing
        self._fetch = fetch
        self._joined = Latest[bool](_MOST_THREADS)
        """Threads ("room first-event") that the assistant has a part in."""

    async def read(self, room: MatrixRoom, event: Any) -> InboundMessage | None:
        """None: it is not for the assistant."""
        id, by, content = id_at(event, "event_id", most=MOST_ID), id_at(event, "sender", most=MOST_ID), value_at(event, "content")
        if not id or not by or by == self._me:
            return None
        edited = related(content, "m.replace")
        said = value_at(content, "m.new_content") if edited else content
        words = self._words(room, event, said)
        if words is None:
            return None
        text, files = words
        thread, answered = related(content, "m.thread"), _answered(content)
        before: Any = await self._fetch(room.id, answered) if answered else None
        command = command_of(text, signs="/!")
        by_bot = text_at(said, "msgtype") == "m.notice"
        heard = Overheard(
            chat_id=room.id,
            external_id=id,
            private=room.private,
            mentions_me=self._mentioned(said),
            answers_me=text_at(before, "sender") == self._me or (thread is not None and not room.private and await self._in(room, thread)),
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
            at=time_at(event, "origin_server_ts", per_second=1000),
        )

    def joined(self, room_id: str, thread: str) -> None:
        """The assistant has a part in this thread."""
        self._joined[f"{room_id} {thread}"] = True

    async def _in(self, room: MatrixRoom, thread: str) -> bool:
        """https://spec.matrix.org/latest/client-server-api/#server-side-aggregation-of-mthread-relationships"""
        if f"{room.id} {thread}" in self._joined:
            return True
        first = await self._fetch(room.id, thread)
        took_part = value_at(first, "unsigned", "m.relations", "m.thread", "current_user_participated") is True
        if took_part or text_at(first, "sender") == self._me:
            self.joined(room.id, thread)
            return True
        return False

    def _words(self, room: MatrixRoom, event: Any, said: Any) -> tuple[str, tuple[InboundFile, ...]] | None:
        """(text, files) of a message; None: it is none that people write."""
        kind, body = text_at(said, "msgtype"), text_at(said, "body")
        if text_at(event, "type") == "m.sticker":
            file = file_of(said, "sticker", body)
            return (body, (file,)) if file else None
        if kind in _KINDS:
            file = file_of(said, "voice" if "org.matrix.msc3245.voice" in said else _KINDS[kind], body)
            caption = body if text_at(said, "filename") not in ("", body) else ""
            return (caption, (file,)) if file else None
        if kind == "m.location":
            place = text_at(said, "geo_uri")
            return (f"{body} ({place})" if place else body).strip(), ()
        if kind not in _WORDS or not body.strip():
            return None
        if kind == "m.emote":
            return f"* {room.name_of(text_at(event, 'sender'))} {body}", ()
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
        body = text_at(said, "body")
        if self._me in list_at(said, "m.mentions", "user_ids"):
            return True
        start = body.lower().lstrip()
        return self._me in body or start.startswith(tuple(f"{name}{sign}" for name in self._names for sign in ":,"))

    def _quote(self, room: MatrixRoom, before: Any) -> Quote | None:
        by = id_at(before, "sender", most=MOST_ID)
        if not by or (words := self._words(room, before, value_at(before, "content"))) is None:
            return None
        text, files = words
        mine = by == self._me
        return Quote(
            text=text[:_MOST_QUOTED], author="" if mine else room.name_of(by), author_id="" if mine else by, files=() if mine else files
        )


def related(content: Any, kind: str) -> str | None:
    """The event that this one has a relation of this kind to."""
    relation = value_at(content, "m.relates_to")
    return (id_at(relation, "event_id", most=MOST_ID) or None) if text_at(relation, "rel_type") == kind else None


def _answered(content: Any) -> str | None:
    """The event that this one answers; not the last one of a thread, which clients name for those that show no threads."""
    relation = value_at(content, "m.relates_to")
    id = id_at(relation, "m.in_reply_to", "event_id", most=MOST_ID)
    return (id or None) if value_at(relation, "is_falling_back") is not True else None


def file_of(said: Any, kind: FileKind, body: str) -> InboundFile | None:
    """Its `ref`: the mxc address, or the JSON of an encrypted file (https://spec.matrix.org/latest/client-server-api/#extensions-to-mroommessage-msgtypes).
    None: there is none."""
    hidden = value_at(said, "file")
    url = text_at(said, "file", "url") if isinstance(hidden, dict) else text_at(said, "url")
    if not url.startswith("mxc://"):
        return None
    return inbound_file(
        text_at(said, "filename") or body,
        orjson.dumps(hidden).decode() if isinstance(hidden, dict) else url,
        media_type=text_at(said, "info", "mimetype"),
        size=value_at(said, "info", "size"),
        kind=kind,
    )
