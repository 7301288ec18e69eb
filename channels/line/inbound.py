"""LINE's events as messages. https://developers.line.biz/en/reference/messaging-api/#webhook-event-objects"""

import re
from collections.abc import Mapping
from typing import Any, Final

from assistant.contracts.addresses import Address
from assistant.contracts.inbox import Command, FileKind, InboundFile, InboundMessage, Quote, Sender
from assistant.contracts.records import record
from channels.kit.commands import command_of, pressed
from channels.kit.files import inbound_file
from channels.kit.hearing import Hearing, Overheard
from channels.kit.values import id_at, list_at, number_at, objects_at, place_words, text_at, time_at, value_at
from channels.line.kind import CHAT
from channels.line.wire import MOST_TOKEN, LineMemory

_FILES: Final[Mapping[str, tuple[FileKind, str, str]]] = {
    "image": ("image", "photo.jpg", "image/jpeg"),
    "video": ("video", "video.mp4", "video/mp4"),
    "audio": ("voice", "voice.m4a", "audio/mp4"),
    "file": ("document", "document", "application/octet-stream"),
}
_MOST_ID: Final = 128
_REF: Final = re.compile(r"[0-9A-Za-z_-]{1,128}")


@record
class LineEvent:
    """What every event of a person has."""

    id: str
    chat: str
    person: str
    reply_token: str


def event_of(event: Any) -> LineEvent | None:
    """None: no person wrote it, or another program answers in this chat (standby)."""
    source = value_at(event, "source")
    person = text_at(source, "userId")
    chat = text_at(source, "groupId") or text_at(source, "roomId") or person
    id = id_at(event, "webhookEventId", most=_MOST_ID) or id_at(event, "message", "id", most=_MOST_ID)
    if not (id and CHAT.fullmatch(person) and CHAT.fullmatch(chat)) or text_at(event, "mode") == "standby":
        return None
    return LineEvent(id=id, chat=chat, person=person, reply_token=id_at(event, "replyToken", most=MOST_TOKEN))


class LineReader:
    def __init__(self, hearing: Hearing, memory: LineMemory) -> None:
        self._hearing = hearing
        self._memory = memory

    def read(self, about: LineEvent, event: Any) -> InboundMessage | None:
        """None: it says nothing (a friend was added, a message was taken back), or is not for the assistant."""
        message, private = value_at(event, "message"), about.chat == about.person
        press = pressed(text_at(event, "postback", "data")) if text_at(event, "type") == "postback" else None
        text, mentions_me = (press[0], True) if press else _words(message, private=private)
        files = _files(message)
        if not (text.strip() or files):
            return None
        id = id_at(message, "id", most=_MOST_ID)
        command: Command | None = press[1] if press else command_of(text)
        quoted = self._memory.told(id_at(message, "quotedMessageId"))
        token, words = id_at(message, "quoteToken", most=MOST_TOKEN), text or f"[{files[0].kind}: {files[0].name}]"
        self._memory.remember(id, token, words, about.person)
        heard = Overheard(
            chat_id=about.chat,
            external_id=about.id,
            private=private,
            mentions_me=mentions_me,
            answers_me=quoted is not None and not quoted[1],
            command=command,
        )
        if not self._hearing.hears(heard):
            return None
        return InboundMessage(
            external_id=about.id,
            address=Address(channel="line", chat_id=about.chat),
            sender=Sender(id=about.person, name=""),
            private=private,
            text=text,
            quote=Quote(text=quoted[0], author="", author_id=quoted[1]) if quoted and quoted[0] else None,
            files=files,
            command=command,
            chosen=press is not None,
            message_id=id or None,
            at=time_at(event, "timestamp", per_second=1000),
        )


def _words(message: Any, *, private: bool) -> tuple[str, bool]:
    """(the text, whether the assistant is mentioned). A mention of it at the beginning of a group's message is left out."""
    match text_at(message, "type"):
        case "text":
            return _without_me(message, private=private)
        case "location":
            return place_words(message, "title", "address"), False
        case "sticker":
            keywords = [word for each in list_at(message, "keywords") if (word := text_at(each))]
            return f"[sticker: {text_at(message, 'text') or ', '.join(keywords[:3]) or 'without words'}]", False
        case _:
            return "", False


def _without_me(message: Any, *, private: bool) -> tuple[str, bool]:
    """Positions count UTF-16 code units. https://developers.line.biz/en/docs/messaging-api/text-character-count/"""
    text, mentions_me = text_at(message, "text"), False
    for each in objects_at(message, "mention", "mentionees"):
        if value_at(each, "isSelf") is not True:
            continue
        mentions_me = True
        if not private and value_at(each, "index") == 0 and (length := number_at(each, "length")):
            rest = text.encode("utf-16-le")[2 * length :].decode("utf-16-le", errors="replace").lstrip(" ,:\n")
            text = rest or text
    return text, mentions_me


def _files(message: Any) -> tuple[InboundFile, ...]:
    known, ref = _FILES.get(text_at(message, "type")), text_at(message, "id")
    if known is None or not _REF.fullmatch(ref) or text_at(message, "contentProvider", "type") == "external":
        return ()
    kind, usual, media_type = known
    size = value_at(message, "fileSize")
    return (inbound_file(text_at(message, "fileName"), ref, media_type=media_type, size=size, kind=kind, usual=usual),)
