"""What a Telegram message says: its entities as Markdown, and polls, places, contacts and the like in words.

https://core.telegram.org/bots/api#messageentity: offsets and lengths count UTF-16 units, entities may nest and, between people, overlap.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Final, NamedTuple

from telegram import ExternalReplyInfo, Message, MessageEntity, Poll

from assistant.contracts.util import replace_surrogates
from channels.text.blocks import PLAIN, Mark, Span, Style, marked, marks_of

_STYLES: Final = {
    "bold": "bold",
    "italic": "italic",
    "underline": "underline",
    "strikethrough": "strike",
    "spoiler": "spoiler",
    "code": "code",
}
_SIGNS: Final = {"bold": ("**", "**"), "italic": ("*", "*"), "strike": ("~~", "~~"), "spoiler": ("||", "||"), "underline": ("<u>", "</u>")}
_WITHIN: Final = ("bold", "italic", "underline", "strike", "spoiler", "link")
_TICKS: Final = re.compile(r"`+")
_LANGUAGE: Final = re.compile(r"[\w+#.-]{1,64}")
_MENTION: Final = "tg://user?id="
Content = Message | ExternalReplyInfo


class _Char(NamedTuple):
    """What holds for a character. `block`: the number of its `pre`; -1: none."""

    style: Style = PLAIN
    block: int = -1
    quoted: bool = False


_PLAIN: Final = _Char()


def markdown_of(text: str, entities: Sequence[MessageEntity] | None) -> str:
    """A text with its entities as Markdown: links with their URLs, code, quotes, bold and the like. Marks that its sender typed stay as they are.

    Mentions, hashtags, addresses that are visible and custom emoji are the words that they stand on.
    """
    if not entities:
        return replace_surrogates(text)
    text = replace_surrogates(text)
    places = _places(text)
    chars = [_PLAIN] * len(text)
    for number, entity in enumerate(entities):
        start, end = places.get(entity.offset), places.get(entity.offset + entity.length)
        if start is None or end is None:  # within a character, or behind the end
            continue
        for place in range(start, end):
            chars[place] = _with(chars[place], entity, number)
    blocks = {number: entity.language or "" for number, entity in enumerate(entities) if entity.type == "pre"}
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


def _with(char: _Char, entity: MessageEntity, number: int) -> _Char:
    kind = str(entity.type)
    if kind in _STYLES:
        return char._replace(style=replace(char.style, **{_STYLES[kind]: True}))
    match kind:
        case "text_link" if entity.url and not entity.url.startswith(_MENTION):
            return char._replace(style=replace(char.style, link=entity.url))
        case "pre":
            return char._replace(block=number)
        case "blockquote" | "expandable_blockquote":
            return char._replace(quoted=True)
        case _:
            return char


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
        for style, run in groupby(zip(line, chars[at:], strict=False), key=lambda pair: pair[1].style):
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


def own_words(message: Content) -> str:
    """The text or caption of a message as Markdown, and its place, contact, poll, list … in words; empty: none of them."""
    said = ""
    if isinstance(message, Message):
        text = message.text or message.caption or ""
        said = markdown_of(text, message.entities if message.text else message.caption_entities)
    return replace_surrogates("\n".join(filter(None, [said, *_in_words(message)])))


def _in_words(message: Content) -> Iterator[str]:
    if venue := message.venue:
        at = venue.location
        yield f"[place: {venue.title}, {venue.address} ({at.latitude:.6f}, {at.longitude:.6f})]"
    elif at := message.location:
        yield f"[{'live location' if 'live_period' in at.to_dict() else 'location'}: {at.latitude:.6f}, {at.longitude:.6f}]"
    if contact := message.contact:
        name = " ".join(filter(None, [contact.first_name, contact.last_name]))
        yield f"[contact: {name}, {contact.phone_number}]"
    if poll := message.poll:
        yield _poll(poll)
    if dice := message.dice:
        yield f"[dice {dice.emoji}: {dice.value}]"
    if game := message.game:
        about = markdown_of(game.text, game.text_entities) if game.text else ""
        yield f"[game: {'. '.join(filter(None, [game.title, game.description, about]))}]"
    if (sticker := message.sticker) and sticker.emoji:
        yield f"[sticker {sticker.emoji}]"
    if message.story:
        yield "[a story, which bots can't see]"
    if checklist := message.checklist:
        tasks = [f"{'☑' if task.completion_date else '☐'} {markdown_of(task.text, task.text_entities)}" for task in checklist.tasks]
        yield "\n".join([f"[checklist: {markdown_of(checklist.title, checklist.title_entities)}]", *tasks])
    if invoice := message.invoice:
        yield f"[invoice: {invoice.title}. {invoice.description} ({invoice.total_amount / 100:.2f} {invoice.currency})]"
    if giveaway := message.giveaway:
        yield f"[giveaway: {giveaway.winner_count} winners{f'. {giveaway.prize_description}' if giveaway.prize_description else ''}]"
    if paid := message.paid_media:
        yield f"[{len(paid.paid_media)} paid files, which bots can't see, for {paid.star_count} stars]"


def _poll(poll: Poll) -> str:
    """With the votes of each option, where there are any."""
    kind = "quiz" if poll.type == "quiz" else "poll"
    state = ", ".join(
        filter(None, ["closed" if poll.is_closed else "", f"{poll.total_voter_count} voted" if poll.total_voter_count else ""])
    )
    options = [
        f"- {markdown_of(option.text, option.text_entities)}{f' ({option.voter_count} votes)' if poll.total_voter_count else ''}"
        for option in poll.options
    ]
    head = f"[{kind}{f' ({state})' if state else ''}: {markdown_of(poll.question, poll.question_entities)}]"
    more = [f"Explanation: {markdown_of(poll.explanation, poll.explanation_entities)}"] if poll.explanation else []
    return "\n".join([head, *options, *more])
