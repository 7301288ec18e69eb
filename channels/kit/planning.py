"""An event as the messages that a platform takes."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from assistant.contracts.channels import SendRefused
from assistant.contracts.messages import human_size
from assistant.contracts.outbox import ButtonRows, Media, OutboundEvent, OutboundPart
from assistant.contracts.records import record
from channels.kit.files import size_of_limit
from channels.kit.forms import checked_buttons, checked_media, lines_of, listed, with_lines
from channels.text.blocks import FormattedPart, clean

Texts = Callable[[str, int], Sequence[FormattedPart]]
"""(Markdown, limit) → the text in the platform's form, in parts within the limit."""


@record
class ButtonRules:
    """Buttons that a platform takes under a message."""

    rows: int
    """1: there are no rows; all buttons stand beside one another."""
    in_row: int
    text: int
    """Characters of the words of a button that says them."""
    can_link: Callable[[str], bool]
    """Whether a button may lead to this URL."""


@record
class MessageRules:
    """What a platform takes in one message, by its documents."""

    platform: str
    """Its name, for people."""
    texts: Texts
    most_text: int
    """Of a message, in the unit that `texts` counts."""
    most_caption: int = 0
    """Of the words that go with files. 0: they never do. As large as `most_text`: the last part of a text goes with the first files; smaller: a text
    that fits whole does."""
    most_files: int = 1
    """Of one message. 0: the platform takes none; their names are said."""
    most_file_bytes: int = 0
    most_bytes: int = 0
    """Of all files of a message; 0: no limit of its own."""
    empty_files: bool = False
    takes: Callable[[Media], bool] = lambda media: True
    """Whether the platform takes a file of this kind …"""
    takes_words: str = ""
    """… and what it takes, in words."""
    buttons: ButtonRules | None = None
    """None: buttons are written as lines under the text."""
    together: Callable[[Media, Media], bool] = lambda before, after: True
    """Whether a file may be in one message with the one before it."""
    album_has_buttons: bool = True

    def first(self, markdown: str) -> str:
        """As much of a text as one message holds, in the platform's form; for previews. Empty: there is nothing to see in it."""
        return next((part.text for part in self.texts(markdown[: 3 * self.most_text], self.most_text)), "")


def plan_message(event: OutboundEvent, rules: MessageRules) -> Sequence[OutboundPart]:
    """Text first, then files; buttons are under the last part. What the platform does not take is in the last part's notice. Pure.

    What replaces a preview begins with text, because an edit brings no file. Raises SendRefused where nothing is left to send.
    """
    media, without = checked_media(event, lambda each: _refusal(each, rules))
    buttons, lines, unlinked = _buttons(event.buttons, rules)
    text = with_lines(event.text, lines)
    texts = _parts(rules, text, rules.most_text)
    files = [OutboundPart(text="", plain="", media=batch) for batch in _batches(media, rules, alone=bool(buttons))]
    if files and texts and rules.most_caption >= rules.most_text:
        files[0] = replace(texts.pop(), media=files[0].media)
    elif (
        files and texts and rules.most_caption and event.replaces is None and len(captions := _parts(rules, text, rules.most_caption)) == 1
    ):
        texts, files[0] = [], replace(captions[0], media=files[0].media)
    parts = [*texts, *files]
    if not parts:
        raise SendRefused("empty", "The message has no words that can be seen.")
    parts[-1] = replace(parts[-1], buttons=buttons, notice="; ".join(filter(None, [without, unlinked])))
    return parts


def _parts(rules: MessageRules, text: str, limit: int) -> list[OutboundPart]:
    return [OutboundPart(text=part.text, plain=part.plain) for part in rules.texts(text, limit)]


def _refusal(media: Media, rules: MessageRules) -> tuple[str, str] | None:
    if rules.most_files == 0:
        return "no_files", f"{rules.platform} takes no files"
    if not rules.takes(media):
        return "wrong_kind", f"{rules.platform} takes {rules.takes_words} only"
    if media.size > rules.most_file_bytes:
        most = size_of_limit(rules.most_file_bytes)
        return "too_large", f"{rules.platform} takes files of at most {most}, and it has {human_size(media.size)}"
    return ("empty_file", f"it is empty, which {rules.platform} does not take") if media.size == 0 and not rules.empty_files else None


_NO_BUTTONS: Final = "written as text, because there are no buttons there: "


def _buttons(given: ButtonRows, rules: MessageRules) -> tuple[ButtonRows, list[str], str]:
    """(buttons that the platform takes, lines for the others, the notice of that)."""
    given = tuple(tuple(replace(button, text=clean(button.text)) for button in row) for row in given)
    taken = rules.buttons
    if taken is not None:
        if taken.rows == 1:
            given = (tuple(button for row in given for button in row),)
        return checked_buttons(given, taken.can_link, most_rows=taken.rows, most_in_row=taken.in_row, most_text=taken.text)
    said = [button.text for row in given for button in row if not button.url and not button.command and button.text.strip()]
    lines = [*lines_of(given), *said]
    return (), lines, f"{_NO_BUTTONS}{listed(given)}" if lines else ""


def _batches(media: Sequence[Media], rules: MessageRules, *, alone: bool) -> list[tuple[Media, ...]]:
    batches: list[tuple[Media, ...]] = []
    most = rules.most_files if rules.album_has_buttons or not alone else 1
    for each in media:
        last = batches[-1] if batches else ()
        small = not rules.most_bytes or sum(one.size for one in last) + each.size <= rules.most_bytes
        if last and len(last) < most and small and rules.together(last[-1], each):
            batches[-1] = (*last, each)
        else:
            batches.append((each,))
    return batches
