"""What people write with styles, as Markdown: a text, and ranges of it that look otherwise (entities, body ranges), nested or overlapping."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Final, Literal, NamedTuple

from assistant.contracts.records import record
from assistant.contracts.util import replace_surrogates
from channels.text.blocks import PLAIN, Mark, Span, Style, marked, marks_of

Look = Literal["bold", "italic", "underline", "strike", "spoiler", "code", "link", "block", "quote"]


@record
class Range:
    """In UTF-16 units, as platforms count. `value`: of a link its URL, of a block of code its language."""

    look: Look
    offset: int
    length: int
    value: str = ""


_SIGNS: Final = {"bold": ("**", "**"), "italic": ("*", "*"), "strike": ("~~", "~~"), "spoiler": ("||", "||"), "underline": ("<u>", "</u>")}
_WITHIN: Final = ("bold", "italic", "underline", "strike", "spoiler", "link")
_TICKS: Final = re.compile(r"`+")
_MOST_RANGES: Final = 1000
"""Of one text; those beyond look plain. Signal sends as many as its sender likes."""
_LANGUAGE: Final = re.compile(r"[\w+#.-]{1,64}")


class _Char(NamedTuple):
    """What holds for a character. `block`: the number of its block of code; -1: none."""

    style: Style = PLAIN
    block: int = -1
    quoted: bool = False


_PLAIN: Final = _Char()


def markdown_of(text: str, ranges: Sequence[Range]) -> str:
    """A text with its ranges as Markdown: links with their URLs, code, quotes, bold and the like. Marks that its sender typed stay as they are."""
    text = replace_surrogates(text)
    if not ranges:
        return text
    ranges, places = ranges[:_MOST_RANGES], _places(text)
    chars = [_PLAIN] * len(text)
    for number, each in enumerate(ranges):
        start, end = places.get(each.offset), places.get(each.offset + each.length)
        if start is None or end is None:  # within a character, or behind the end
            continue
        before, after = None, _PLAIN
        for place in range(start, end):
            if chars[place] is not before:
                before, after = chars[place], _with(chars[place], each, number)
            chars[place] = after
    blocks = {number: each.value for number, each in enumerate(ranges) if each.look == "block"}
    said: list[str] = []
    at = 0
    for (block, quoted), run in groupby(chars, key=lambda char: (char.block, char.quoted)):
        length = len(list(run))
        piece, looks = text[at : at + length], chars[at : at + length]
        said.append(_piece(piece, looks, blocks.get(block) if block >= 0 else None, quoted, first=at == 0, last=at + length == len(text)))
        at += length
    return re.sub(r"\n{3,}", "\n\n", "".join(said)) if blocks else "".join(said)


def _places(text: str) -> dict[int, int]:
    """UTF-16 offset → place in the text."""
    found, units = {}, 0
    for place, char in enumerate(text):
        found[units] = place
        units += 2 if char > "\uffff" else 1
    return {**found, units: len(text)}


def _with(char: _Char, each: Range, number: int) -> _Char:
    match each.look:
        case "link":
            return char._replace(style=replace(char.style, link=each.value))
        case "block":
            return char._replace(block=number)
        case "quote":
            return char._replace(quoted=True)
        case look:
            return char._replace(style=replace(char.style, **{look: True}))


def _piece(text: str, chars: Sequence[_Char], language: str | None, quoted: bool, *, first: bool, last: bool) -> str:
    """A run of text that is a block of code (`language` not None), a quote, or neither."""
    if language is not None:
        fence = "`" * max(3, 1 + max(map(len, _TICKS.findall(text)), default=0))
        lines = [fence + (language if _LANGUAGE.fullmatch(language) else ""), *text.strip("\n").split("\n"), fence]
    else:
        lines = _lines(text, chars)
        if not quoted:
            return "\n".join(lines)
    if quoted:
        lines = [f"> {line}".rstrip() for line in "\n".join(lines).strip("\n").split("\n")]
    return ("" if first else "\n") + "\n".join(lines) + ("" if last else "\n")


def _lines(text: str, chars: Sequence[_Char]) -> list[str]:
    """Each line with its marks. Spaces at the ends of what is marked stand outside, where Markdown wants them."""
    lines: list[str] = []
    at = 0
    for line in text.split("\n"):
        spans: list[Span] = []
        for style, run in groupby(zip(line, chars[at : at + len(line)], strict=True), key=lambda pair: pair[1].style):
            said = "".join([char for char, _ in run])
            words = said.strip() if style != PLAIN else said
            before = said[: len(said) - len(said.lstrip())] if words != said else ""
            spans += [
                Span(text=before, style=PLAIN),
                Span(text=words, style=style),
                Span(text=said[len(before) + len(words) :], style=PLAIN),
            ]
        lines.append("".join(marked(_joined(spans), _marks, _signs, _words)))
        at += len(line) + 1
    return lines


def _joined(spans: Sequence[Span]) -> list[Span]:
    """Without empty ones. Blanks between two pieces of a link, or within marks that go on, belong to them."""
    kept = [span for span in spans if span.text]
    since: dict[str, int] = {}
    for place, span in enumerate(kept):
        if span.style == PLAIN and not span.text.strip() and 0 < place < len(kept) - 1:
            kept[place] = replace(span, style=_shared(kept[place - 1].style, kept[place + 1].style, since))
        since = {mark: since.get(mark, place) for mark in _WITHIN if getattr(kept[place].style, mark)}
    return kept


def _shared(before: Style, after: Style, since: Mapping[str, int]) -> Style:
    """The marks of both that began no later than those that end between them, which would otherwise have to be begun again."""
    both = {mark for mark in since if getattr(before, mark) == getattr(after, mark)}
    first_to_end = min((began for mark, began in since.items() if mark not in both), default=len(since) + max(since.values(), default=0))
    link = before.link if before.link == after.link else ""
    return replace(PLAIN, link=link, **{mark: True for mark in both if mark != "link" and since[mark] <= first_to_end})


def _marks(style: Style) -> tuple[Mark, ...]:
    found = tuple([mark for mark in marks_of(style) if mark[0] != "code"])
    return (*found, ("underline", "")) if style.underline else found


def _words(place: int, span: Span) -> str:
    if span.style.code:
        return _code(span.text)
    return re.sub(r"[\[\]]", r"\\\g<0>", span.text) if span.style.link else span.text


def _signs(mark: Mark) -> tuple[str, str]:
    kind, link = mark
    if kind != "link":
        return _SIGNS[kind]
    link = re.sub(r"[<>]", lambda found: "%3C" if found[0] == "<" else "%3E", " ".join(link.split()))
    return "[", f"](<{link}>)" if re.search(r"[\s()<>]", link) else f"]({link})"


def _code(text: str) -> str:
    longest = max(map(len, _TICKS.findall(text)), default=0)
    ticks = "`" * (longest + 1)
    return f"{ticks} {text} {ticks}" if longest else f"`{text}`"
