"""What Telegram makes of a message in HTML (https://core.telegram.org/bots/api#html-style): for the stand-in, and for tests of what we write."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape
from typing import Final

from tests.doubles.visible import is_seen, utf16

_TOKEN: Final = re.compile(
    r"<(?P<slash>/?)(?P<tag>[a-z0-9-]+)(?P<attributes>(?:\s+[a-z-]+(?:=\"[^\"<>]*\")?)*)\s*>"
    r"|(?P<char>&(?:lt|gt|amp|quot|#\d{1,7}|#x[0-9a-fA-F]{1,6});)|(?P<words>[^<&]+|&)|(?P<bare><)"
)
_ATTRIBUTE: Final = re.compile(r"([a-z-]+)(?:=\"([^\"]*)\")?")
_KINDS: Final = {
    "b": "bold", "strong": "bold", "i": "italic", "em": "italic", "u": "underline", "ins": "underline", "s": "strikethrough",
    "strike": "strikethrough", "del": "strikethrough", "tg-spoiler": "spoiler", "span": "spoiler", "a": "text_link", "code": "code", "pre": "pre",
    "blockquote": "blockquote",
}  # fmt: skip
_MOST_ENTITIES: Final = 100
_HOST: Final = re.compile(r"(?:https?://[^/?#]+\.[^/?#.]{2,}|tg://).*", re.DOTALL)


class BadEntities(Exception):
    """The HTML can't be parsed; `str(error)` is the description of the 400 that the Bot API answers with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """As in MessageEntity; offset and length in UTF-16 code units."""

    type: str
    offset: int
    length: int
    url: str = ""
    language: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedText:
    text: str
    entities: tuple[Entity, ...]


@dataclass(slots=True)
class _Open:
    tag: str
    offset: int
    url: str
    language: str


def parse(html: str) -> ParsedText:
    """Text and entities, as the Bot API would take them. Raises BadEntities."""
    text: list[str] = []
    entities: list[Entity] = []
    opened: list[_Open] = []
    at = 0
    for found in _tokens(html):
        tag = found["tag"]
        if found["bare"]:
            raise BadEntities(f'Bad Request: can\'t parse entities: Unsupported start tag "" at byte offset {_byte(html, found)}')
        if not tag:
            said = found["words"] or unescape(found["char"])
            text.append(said)
            at += utf16(said)
        elif not found["slash"]:
            opened.append(_opened(tag, at, html, found))
        else:
            if not opened or opened[-1].tag != tag:
                raise BadEntities(f"Bad Request: can't parse entities: Unexpected end tag at byte offset {_byte(html, found)}")
            last = opened.pop()
            if last.tag == "code" and opened and opened[-1].tag == "pre":
                opened[-1].language = last.language
            elif at > last.offset:
                entities.append(Entity(type=_KINDS[tag], offset=last.offset, length=at - last.offset, url=last.url, language=last.language))
    if opened:
        raise BadEntities(f"Bad Request: can't parse entities: Can't find end tag corresponding to start tag \"{opened[-1].tag}\"")
    return ParsedText(text="".join(text), entities=tuple(entities))


def refusal(html: str, *, most: int = 4096) -> str | None:
    """The description of the 400 with which such a message (or caption, `most` = 1024) is refused; None: it is taken."""
    try:
        parsed = parse(html)
    except BadEntities as error:
        return str(error)
    text = parsed.text.strip()
    if not is_seen(text):
        return "Bad Request: message text is empty"
    if utf16(text) > most:
        return "Bad Request: message is too long" if most > 1024 else "Bad Request: message caption is too long"
    return None


def flaws(html: str) -> list[str]:
    """What Telegram would take and not show: entities within code, quotes in quotes, links it does not follow, more than 100 entities."""
    parsed = parse(html)
    found = [f"{len(parsed.entities)} entities"] if len(parsed.entities) > _MOST_ENTITIES else []
    found += [f"link to {entity.url!r}" for entity in parsed.entities if entity.type == "text_link" and not _HOST.fullmatch(entity.url)]
    # Of two of one range the quote is the outer one, though the inner one was closed first.
    order = sorted(parsed.entities, key=lambda entity: (entity.offset, -entity.length, entity.type != "blockquote"))
    around: list[Entity] = []
    for entity in order:
        while around and around[-1].offset + around[-1].length <= entity.offset:
            around.pop()
        outer = {each.type for each in around}
        in_code, in_others = outer & {"code", "pre"}, outer - {"blockquote"}
        if in_code or (entity.type in ("code", "pre") and in_others) or (entity.type == "blockquote" and "blockquote" in outer):
            found.append(f"{entity.type} within {sorted(outer)}")
        around.append(entity)
    return found


def _tokens(html: str) -> Iterator[re.Match[str]]:
    at = 0
    while at < len(html):
        found = _TOKEN.match(html, at)
        assert found is not None
        yield found
        at = found.end()


def _opened(tag: str, at: int, html: str, found: re.Match[str]) -> _Open:
    attributes = {name: unescape(value or "") for name, value in _ATTRIBUTE.findall(found["attributes"])}
    if tag not in _KINDS or (tag == "span" and attributes.get("class") != "tg-spoiler"):
        raise BadEntities(f'Bad Request: can\'t parse entities: Unsupported start tag "{tag}" at byte offset {_byte(html, found)}')
    language = attributes.get("class", "").removeprefix("language-") if tag == "code" else ""
    return _Open(tag, at, attributes.get("href", ""), language)


def _byte(html: str, found: re.Match[str]) -> int:
    return len(html[: found.start()].encode())
