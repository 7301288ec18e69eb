"""What the child process says to its parent: four bytes with the length of a JSON head, the head, and the text or the picture.

The parent reads it as it would read the file itself: as something that an attacker may have written.
"""

import json
from dataclasses import dataclass
from typing import cast, get_args

from assistant.contracts.documents import ReadDocument, ReadImage, Section
from assistant.contracts.messages import MediaType
from assistant.documents.refusals import REASONS, Reason

MOST_HEAD = 1_000_000
_Head = dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """The file is not read."""

    reason: Reason
    words: str
    detail: str = ""
    """For the log: the kind of failure and the line of our code, never anything of the file."""


Reply = ReadDocument | ReadImage | Refusal


class BadReply(Exception):
    """The child said something that no child of ours says."""


def pack(reply: Reply) -> bytes:
    head: _Head
    match reply:
        case ReadDocument():
            body = reply.text.encode("utf-8", "replace")
            sections = [[section.label, section.start] for section in reply.sections]
            head = {"format": reply.format, "sections": sections, "facts": reply.facts, "missing": reply.missing}
        case ReadImage():
            body = reply.data
            head = {"media_type": reply.media_type, "width": reply.width, "height": reply.height, "original": reply.original}
        case Refusal():
            body = b""
            head = {"reason": reply.reason, "words": reply.words, "detail": reply.detail}
    packed = json.dumps({"kind": type(reply).__name__, **head}).encode()
    return len(packed).to_bytes(4, "big") + packed + body


def unpack(data: bytes | bytearray) -> Reply:
    """The reply; BadReply where it is not one."""
    view = memoryview(data)
    length = int.from_bytes(view[:4], "big")
    if len(view) < 4 + length or not 0 < length <= MOST_HEAD:
        raise BadReply
    try:
        parsed: object = json.loads(bytes(view[4 : 4 + length]))
    except (ValueError, RecursionError) as error:
        raise BadReply from error
    if not isinstance(parsed, dict):
        raise BadReply
    head = cast("_Head", parsed)
    match head.get("kind"):
        case "ReadDocument":
            return _document(head, str(view[4 + length :], "utf-8", "replace"))
        case "ReadImage":
            return _image(head, bytes(view[4 + length :]))
        case "Refusal":
            return _refusal(head)
        case _:
            raise BadReply


def _document(head: _Head, text: str) -> ReadDocument:
    sections: list[Section] = []
    for item in _list(head, "sections"):
        match item:
            case [str(label), int(start)] if 0 <= start <= len(text) and (not sections or start >= sections[-1].start):
                sections.append(Section(label=label, start=start))
            case _:
                raise BadReply
    facts = tuple(fact for fact in _list(head, "facts") if isinstance(fact, str))
    return ReadDocument(format=_text(head, "format"), text=text, sections=tuple(sections), facts=facts, missing=_text(head, "missing"))


def _image(head: _Head, data: bytes) -> ReadImage:
    match head:
        case {"media_type": str(media_type), "width": int(width), "height": int(height)} if media_type in get_args(MediaType) and data:
            known = cast("MediaType", media_type)
            return ReadImage(media_type=known, width=width, height=height, original=_text(head, "original"), data=data)
        case _:
            raise BadReply


def _refusal(head: _Head) -> Refusal:
    reason = _text(head, "reason")
    if reason not in REASONS:
        raise BadReply
    return Refusal(reason=cast("Reason", reason), words=_text(head, "words")[:1_000], detail=_text(head, "detail")[:200])


def _text(head: _Head, key: str) -> str:
    value = head.get(key)
    if not isinstance(value, str):
        raise BadReply
    return value


def _list(head: _Head, key: str) -> list[object]:
    value = head.get(key)
    if not isinstance(value, list):
        raise BadReply
    return cast("list[object]", value)
