"""signal-cli's envelopes as messages.
https://github.com/AsamK/signal-cli/blob/master/src/main/java/org/asamk/signal/json/JsonMessageEnvelope.java"""

from typing import Any, Final

from assistant.contracts.addresses import Address
from assistant.contracts.inbox import InboundFile, InboundMessage, Quote, Sender
from assistant.contracts.util import no_address
from channels.kit.commands import command_of
from channels.kit.files import inbound_file
from channels.kit.hearing import Hearing, Overheard
from channels.kit.values import id_at, number_at, objects_at, text_at, time_at, value_at
from channels.signal.kind import GROUP, PERSON
from channels.signal.wire import message_id

_MOST_NAME: Final = 128
_MOST_LISTED: Final = 100
"""Mentions and files of a message that are read."""


class SignalReader:
    """Turns envelopes into messages: those of people, in private or for the assistant. Its own, from other devices of the account, are none."""

    def __init__(self, hearing: Hearing, account: str) -> None:
        self._hearing = hearing
        self._account = account
        self.me = ""
        """The account's own id; empty: unknown."""

    def read(self, envelope: Any) -> InboundMessage | None:
        author = text_at(envelope, "sourceUuid")
        edited = value_at(envelope, "editMessage")
        target = number_at(edited, "targetSentTimestamp")
        data = value_at(envelope, "dataMessage") if edited is None else value_at(edited, "dataMessage")
        timestamp = number_at(data, "timestamp") or number_at(envelope, "timestamp")
        group = text_at(data, "groupInfo", "groupId")
        if not PERSON.fullmatch(author) or not timestamp or (group and not GROUP.fullmatch(group)):
            return None
        chat = group or author
        text, mentions_me = self._words(data, group=bool(group))
        files = tuple(_files(data, chat))
        if not (text.strip() or files):
            return None
        heard = Overheard(
            chat_id=chat,
            external_id=f"{author}:{timestamp}",
            private=not group,
            mentions_me=mentions_me,
            answers_me=self._is_me(value_at(data, "quote"), "author"),
            command=command_of(text),
            own=author == self.me or text_at(envelope, "sourceNumber") == self._account,
        )
        if not self._hearing.hears(heard):
            return None
        return heard.message(
            address=Address(channel="signal", chat_id=chat),
            sender=Sender(id=author, name=text_at(envelope, "sourceName")[:_MOST_NAME]),
            message_id=message_id(target or timestamp, author),
            at=time_at(timestamp, per_second=1000),
            text=text,
            call=text,
            quote=self._quote(value_at(data, "quote"), chat),
            files=files,
        )

    def _words(self, data: Any, *, group: bool) -> tuple[str, bool]:
        """(the text with names in place of mentions, whether the assistant is mentioned). A mention of it at the beginning of a group's message is
        left out."""
        raw = text_at(data, "message").encode("utf-16-le")
        mentions_me = False
        places = [(number_at(each, "start"), number_at(each, "length"), each) for each in objects_at(data, "mentions")[:_MOST_LISTED]]
        for start, length, each in sorted(places, key=lambda one: one[0], reverse=True):
            mine = self._is_me(each, "")
            mentions_me |= mine
            name = "" if mine and group and start == 0 else f"@{no_address(text_at(each, 'name') or text_at(each, 'number'))}"
            if length and start + length <= len(raw) // 2:
                raw = raw[: 2 * start] + name.encode("utf-16-le") + raw[2 * (start + length) :]
        return raw.decode("utf-16-le", errors="replace").lstrip(" ,:\n" if group and mentions_me else ""), mentions_me

    def _quote(self, quote: Any, chat: str) -> Quote | None:
        files = tuple(_files(quote, chat))
        text = text_at(quote, "text") or ", ".join(f"[{file.kind}: {file.name}]" for file in files)
        if not text:
            return None
        mine = self._is_me(quote, "author")
        author_id = "" if mine else id_at(quote, "authorUuid") or id_at(quote, "author")
        return Quote(text=text, author="", author_id=author_id, files=tuple(file for file in files if file.ref.partition(" ")[0]))

    def _is_me(self, value: Any, prefix: str) -> bool:
        uuid, number = (prefix + "Uuid", prefix + "Number") if prefix else ("uuid", "number")
        return (bool(self.me) and text_at(value, uuid) == self.me) or text_at(value, number) == self._account


def _files(data: Any, chat: str) -> list[InboundFile]:
    """`ref`: the attachment's id, and the chat that it came by."""
    found: list[InboundFile] = []
    for each in objects_at(data, "attachments")[:_MOST_LISTED]:
        media_type, kind = text_at(each, "contentType"), "voice" if value_at(each, "isVoiceNote") is True else None
        major, _, minor = media_type.partition("/")
        name = text_at(each, "filename") or f"{major or 'file'}.{minor.partition(';')[0] or 'bin'}"
        ref = f"{id_at(each, 'id')} {chat}"
        found.append(inbound_file(name, ref, media_type=media_type, size=value_at(each, "size"), kind=kind))
    return found
