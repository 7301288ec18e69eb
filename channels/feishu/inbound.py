"""Feishu's events as messages. https://open.feishu.cn/document/server-docs/im-v1/message/events/receive"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from math import isfinite
from typing import Any, Final

from assistant.contracts.inbox import Command, FileKind, InboundFile
from assistant.contracts.records import record
from channels.feishu.kind import CHAT, MESSAGE, PERSON
from channels.kit.commands import pressed
from channels.kit.files import inbound_file
from channels.kit.values import id_at, json_in, list_at, objects_at, place_words, text_at, time_at, value_at

_KEY: Final = re.compile(r"[0-9A-Za-z_-]{1,200}")
_MENTION: Final = re.compile(r"@_(?:user_[0-9]+|all)")
_MOST_ID, _MOST_FILES = 128, 20
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


@record
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
    command: Command | None = None
    at: datetime


def read_event(body: Any, me: str) -> FeishuEvent | None:
    """None: it is neither. `me`: the bot's open id."""
    kind, event = text_at(body, "header", "event_type"), value_at(body, "event")
    if kind == "im.message.receive_v1":
        return _message(event, me)
    return _press(id_at(body, "header", "event_id", most=_MOST_ID), event) if kind == "card.action.trigger" else None


def words_of(kind: str, content: str, mentions: Sequence[Mapping[str, Any]] = (), me: str = "") -> str:
    """The words of a message, with names in place of the keys of mentions; a mention of the bot at the beginning is left out."""
    found = json_in(content)
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
    names = {text_at(each, "key"): f"@{text_at(each, 'name')[:_MOST_ID]}" for each in mentions}
    mine = {text_at(each, "key") for each in mentions if me and _mentioned(each) == me}
    begin = _MENTION.match(text.lstrip())
    if begin and begin[0] in mine:
        text = text.lstrip()[begin.end() :].lstrip(" ,:\n")
    return _MENTION.sub(lambda found: names.get(found[0]) or found[0].replace("@_all", "@all"), text)


def _message(event: Any, me: str) -> FeishuEvent | None:
    message, sender = value_at(event, "message"), value_at(event, "sender")
    id, chat = text_at(message, "message_id"), text_at(message, "chat_id")
    person = id_at(sender, "sender_id", "open_id", most=_MOST_ID) or id_at(sender, "sender_id", "app_id", most=_MOST_ID)
    if not (MESSAGE.fullmatch(id) and CHAT.fullmatch(chat) and person):
        return None
    kind, content, mentions = text_at(message, "message_type"), text_at(message, "content"), objects_at(message, "mentions")
    root, parent = text_at(message, "root_id") or id, text_at(message, "parent_id")
    private = text_at(message, "chat_type") == "p2p"
    return FeishuEvent(
        id=id,
        chat=chat,
        thread=root if text_at(message, "thread_id") and MESSAGE.fullmatch(root) and not private else None,
        sender=person,
        by_bot=text_at(sender, "sender_type") != "user",
        private=private,
        message_id=id,
        parent=parent if MESSAGE.fullmatch(parent) else "",
        text=words_of(kind, content, mentions, "" if private else me),
        mentions_me=bool(me) and any(_mentioned(each) == me for each in mentions),
        files=_files(id, kind, json_in(content)),
        at=time_at(message, "create_time", per_second=1000),
    )


def _press(id: str, event: Any) -> FeishuEvent | None:
    """https://open.feishu.cn/document/feishu-cards/card-callback-communication"""
    press = pressed(text_at(event, "action", "value", "nanobot"))
    person, chat = text_at(event, "operator", "open_id"), text_at(event, "context", "open_chat_id")
    message, thread = text_at(event, "context", "open_message_id"), text_at(event, "action", "value", "thread")
    known = PERSON.fullmatch(person) and CHAT.fullmatch(chat) and MESSAGE.fullmatch(message) and id
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
        return tuple(_file(message, "image", key, "") for key in images[:_MOST_FILES] if _KEY.fullmatch(key))
    key = text_at(content, "image_key" if kind == "image" else "file_key")
    return (_file(message, kind, key, text_at(content, "file_name")),) if kind in _FILES and _KEY.fullmatch(key) else ()


def _file(message: str, kind: str, key: str, name: str) -> InboundFile:
    what, usual, media_type = _FILES[kind]
    return inbound_file(name, f"{'image' if kind == 'image' else 'file'} {message} {key}", media_type=media_type, kind=what, usual=usual)


def _mentioned(mention: Mapping[str, Any]) -> str:
    return text_at(mention, "id", "open_id") or text_at(mention, "id")


def _number(text: str) -> float | None:
    try:
        return number if isfinite(number := float(text)) else None
    except ValueError:
        return None
