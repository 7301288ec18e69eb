"""Feishu's events as messages. https://open.feishu.cn/document/server-docs/im-v1/message/events/receive"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from assistant.contracts.inbox import FileKind, InboundFile
from assistant.contracts.util import display_name
from channels.feishu.kind import CHAT, MESSAGE, PERSON
from channels.kit.commands import pressed
from channels.kit.http import loads, value_at
from channels.kit.values import list_at, objects_at, place_words, text_at

_KEY: Final = re.compile(r"[0-9A-Za-z_-]{1,200}")
_MOST_ID: Final = 128
_LATEST: Final = 253_402_300_000_000
"""Milliseconds until the year 9999."""
_FILES: Final[Mapping[str, tuple[FileKind, str, str]]] = {
    "image": ("image", "photo.jpg", "image/jpeg"),
    "file": ("document", "document", "application/octet-stream"),
    "audio": ("voice", "voice.opus", "audio/ogg"),
    "media": ("video", "video.mp4", "video/mp4"),
}
_SAID: Final[Mapping[str, str]] = {
    "sticker": "[sticker]",
    "merge_forward": "[forwarded messages]",
    "share_chat": "[a group's card]",
    "share_user": "[a person's card]",
    "interactive": "[card]",
    "todo": "[task]",
    "calendar": "[calendar event]",
    "share_calendar_event": "[calendar event]",
    "vote": "[vote]",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FeishuEvent:
    """A message, or a press (`choice`)."""

    id: str
    chat: str
    thread: str | None
    sender: str
    by_bot: bool
    private: bool | None
    """None: the platform does not tell."""
    message_id: str
    parent: str
    text: str
    mentions_me: bool = False
    files: tuple[InboundFile, ...] = ()
    choice: bool = False
    command: Any = None
    at: datetime


def read_event(body: Any, me: str) -> FeishuEvent | None:
    """None: it is neither. `me`: the bot's open id."""
    kind, event = text_at(body, "header", "event_type"), value_at(body, "event")
    if kind == "im.message.receive_v1":
        return _message(event, me)
    return _press(text_at(body, "header", "event_id"), event) if kind == "card.action.trigger" else None


def words_of(kind: str, content: str, mentions: Sequence[Mapping[str, Any]] = (), me: str = "") -> str:
    """The words of a message, with names in place of the keys of mentions; a mention of the bot at the beginning is left out."""
    found = _json(content)
    match kind:
        case "text":
            text = text_at(found, "text")
        case "post":
            text = _post_words(found)
        case "location":
            place = {name: _number(text_at(found, name)) for name in ("latitude", "longitude")}
            text = place_words({**place, "name": text_at(found, "name")}, "name")
        case _:
            text = _SAID.get(kind, "")
    for each in sorted(mentions, key=lambda each: -len(text_at(each, "key"))):
        key = text_at(each, "key")
        if not key:
            continue
        if me and _mentioned(each) == me and text.lstrip().startswith(key):
            text = text.lstrip().removeprefix(key).lstrip(" ,:\n")
        text = text.replace(key, f"@{text_at(each, 'name')[:_MOST_ID]}")
    return text.replace("@_all", "@all")


def _message(event: Any, me: str) -> FeishuEvent | None:
    message, sender = value_at(event, "message"), value_at(event, "sender")
    id, chat = text_at(message, "message_id"), text_at(message, "chat_id")
    person = text_at(sender, "sender_id", "open_id") or text_at(sender, "sender_id", "app_id")
    if not (MESSAGE.fullmatch(id) and CHAT.fullmatch(chat) and 0 < len(person) <= _MOST_ID and person.isprintable()):
        return None
    kind, content, mentions = text_at(message, "message_type"), text_at(message, "content"), objects_at(message, "mentions")
    root = text_at(message, "root_id") or id
    private = text_at(message, "chat_type") == "p2p"
    return FeishuEvent(
        id=id,
        chat=chat,
        thread=root if text_at(message, "thread_id") and MESSAGE.fullmatch(root) and not private else None,
        sender=person,
        by_bot=text_at(sender, "sender_type") != "user",
        private=private,
        message_id=id,
        parent=text_at(message, "parent_id"),
        text=words_of(kind, content, mentions, "" if private else me),
        mentions_me=any(_mentioned(each) == me for each in mentions),
        files=_files(id, kind, _json(content)),
        at=_time(text_at(message, "create_time")),
    )


def _press(id: str, event: Any) -> FeishuEvent | None:
    """https://open.feishu.cn/document/feishu-cards/card-callback-communication"""
    press = pressed(text_at(event, "action", "value", "nanobot"))
    person, chat = text_at(event, "operator", "open_id"), text_at(event, "context", "open_chat_id")
    message, thread = text_at(event, "context", "open_message_id"), text_at(event, "action", "value", "thread")
    known = PERSON.fullmatch(person) and CHAT.fullmatch(chat) and MESSAGE.fullmatch(message) and 0 < len(id) <= _MOST_ID
    if press is None or not known:
        return None
    return FeishuEvent(
        id=f"press:{id}",
        chat=chat,
        thread=thread if MESSAGE.fullmatch(thread) else None,
        sender=person,
        by_bot=False,
        private=None,
        message_id=message,
        parent="",
        text=press[0],
        mentions_me=True,
        choice=True,
        command=press[1],
        at=datetime.now(UTC),
    )


def _post_words(found: Any) -> str:
    title, lines = text_at(found, "title"), list_at(found, "content")
    said = ["".join(_piece_words(piece) for piece in objects_at({"line": line}, "line")) for line in lines]
    return "\n".join(filter(None, [title, *said]))


def _piece_words(piece: Mapping[str, Any]) -> str:
    text = text_at(piece, "text")
    match text_at(piece, "tag"):
        case "a":
            url = text_at(piece, "href")
            return f"{text} ({url})" if text and url and text != url else text or url
        case "at":
            return text_at(piece, "user_id") if text_at(piece, "user_id").startswith("@_user_") else f"@{text_at(piece, 'user_name')}"
        case "code_block":
            return f"```{text_at(piece, 'language').lower()}\n{text}\n```"
        case "emotion":
            return f":{text_at(piece, 'emoji_type')}:"
        case _:
            return text


def _files(message: str, kind: str, content: Any) -> tuple[InboundFile, ...]:
    if kind == "post":
        keys = [piece for line in list_at(content, "content") for piece in objects_at({"line": line}, "line")]
        images = [text_at(piece, "image_key") for piece in keys if text_at(piece, "tag") == "img"]
        return tuple(_file(message, "image", key, "") for key in images[:20] if _KEY.fullmatch(key))
    key = text_at(content, "image_key" if kind == "image" else "file_key")
    return (_file(message, kind, key, text_at(content, "file_name")),) if kind in _FILES and _KEY.fullmatch(key) else ()


def _file(message: str, kind: str, key: str, name: str) -> InboundFile:
    what, usual, media_type = _FILES[kind]
    ref = f"{'image' if kind == 'image' else 'file'} {message} {key}"
    return InboundFile(name=display_name(name or usual, usual), kind=what, media_type=media_type, size=None, ref=ref)


def _mentioned(mention: Mapping[str, Any]) -> str:
    return text_at(mention, "id", "open_id") or text_at(mention, "id")


def _json(content: str) -> Any:
    try:
        return loads(content.encode(errors="replace"))
    except ValueError:
        return None


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _time(stamp: str) -> datetime:
    known = stamp.isascii() and stamp.isdigit() and len(stamp) < 16 and 0 < int(stamp) < _LATEST
    return datetime.fromtimestamp(int(stamp) / 1000, UTC) if known else datetime.now(UTC)
