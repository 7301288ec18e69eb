"""An event as the parts that Telegram takes, and buttons as keyboards."""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from telegram import InlineKeyboardButton, InlineKeyboardMarkup

from assistant.contracts.channels import SendRefused
from assistant.contracts.outbox import Button, ButtonRows, Media, OutboundEvent, OutboundPart
from channels.kit.forms import checked_buttons, checked_media, with_lines
from channels.text.blocks import clean
from channels.text.telegram import telegram_parts

TEXT_UNITS: Final = 4000
"""UTF-16 units of a message, of 4096 allowed."""
CAPTION_UNITS: Final = 1000
"""Of 1024."""
PHOTO_BYTES: Final = 10_000_000
FILE_BYTES: Final = 50_000_000
ALBUM_FILES: Final = 10
_MOST_ROWS, _MOST_IN_ROW, _LONGEST_TEXT = 12, 8, 1000
"""Of buttons: a hundred in all."""
_URL: Final = re.compile(
    r"tg://[\w-]+\S*|https?://(?:\d{1,3}(?:\.\d{1,3}){3}|[^\s/?#:@]+\.[^\s/?#:@.\d][^\s/?#:@.]+)(?::\d{1,5})?(?:[/?#]\S*)?", re.IGNORECASE
)
PHOTO_TYPES: Final = frozenset({"image/jpeg", "image/png", "image/webp"})


def plan(event: OutboundEvent) -> Sequence[OutboundPart]:
    """Text first, then files: a photo or a few as an album, everything else one by one. A text that fits is the caption of the first.

    What replaces a preview begins with text, because an edit can't bring a file. Buttons are under the last part; an album has none. Raises
    SendRefused where nothing is left that Telegram takes.
    """
    media, without = checked_media(event, _refusal)
    given = tuple(tuple(replace(button, text=clean(button.text)) for button in row) for row in event.buttons)
    buttons, lines, unlinked = checked_buttons(given, can_link, most_rows=_MOST_ROWS, most_in_row=_MOST_IN_ROW, most_text=_LONGEST_TEXT)
    text = with_lines(event.text, lines)
    texts = _texts(text, TEXT_UNITS)
    files = [OutboundPart(text="", plain="", media=album) for album in _albums(media, together=not buttons)]
    if files and texts and event.replaces is None and len(captions := _texts(text, CAPTION_UNITS)) == 1:
        texts, files[0] = [], replace(captions[0], media=files[0].media)
    parts = [*texts, *files]
    if not parts:
        raise SendRefused("empty", "The message has no words that can be seen.")
    parts[-1] = replace(parts[-1], buttons=buttons, notice="; ".join(filter(None, [without, unlinked])))
    return parts


def _refusal(media: Media) -> tuple[str, str] | None:
    if media.size > FILE_BYTES:
        return "too_large", "it is larger than the 50 MB that Telegram takes"
    return ("empty_file", "it is empty, which Telegram does not take") if media.size == 0 else None


def can_link(url: str) -> bool:
    """Whether a button may lead there: Telegram wants a host with a dot, or one of its own addresses."""
    return _URL.fullmatch(url) is not None


def _texts(text: str, limit: int) -> list[OutboundPart]:
    return [OutboundPart(text=part.text, plain=part.plain) for part in telegram_parts(text, limit)]


def is_photo(media: Media) -> bool:
    return media.media_type in PHOTO_TYPES and media.size <= PHOTO_BYTES


def _albums(media: Sequence[Media], *, together: bool) -> list[tuple[Media, ...]]:
    """Photos that follow one another go as one album, within what one request may hold; every other file goes alone."""
    albums: list[tuple[Media, ...]] = []
    for file in media:
        last = albums[-1] if albums else ()
        photos = together and bool(last) and is_photo(last[-1]) and is_photo(file)
        if photos and len(last) < ALBUM_FILES and sum(each.size for each in last) + file.size <= FILE_BYTES:
            albums[-1] = (*last, file)
        else:
            albums.append((file,))
    return albums


_MOST_BUTTON_BYTES: Final = 64
_WORDS, _PLACE, _COMMAND = "t", "#", "/"
"""What the data of a button begins with: before the button's own words, before its place where they are too long, or as a command does."""


def keyboard(rows: ButtonRows) -> InlineKeyboardMarkup | None:
    made = [[_button(button, f"{row}.{column}") for column, button in enumerate(line)] for row, line in enumerate(rows)]
    return InlineKeyboardMarkup(made) if made else None


def given(data: str) -> str | None:
    """The command that a pressed button gives; None: it gives words."""
    return data if data.startswith(_COMMAND) else None


def pressed(data: str, markup: InlineKeyboardMarkup | None) -> str | None:
    """The text of a pressed button. `markup`: of its message. None: it is not one of ours."""
    if data.startswith(_WORDS):
        return data[len(_WORDS) :]
    if data.startswith(_PLACE) and markup is not None:
        return next((button.text for line in markup.inline_keyboard for button in line if button.callback_data == data), None)
    return None


def _button(button: Button, place: str) -> InlineKeyboardButton:
    if button.url is not None:
        return InlineKeyboardButton(button.text, url=button.url)
    if button.command is not None:
        return InlineKeyboardButton(button.text, callback_data=button.given)
    data = _WORDS + button.text
    return InlineKeyboardButton(button.text, callback_data=data if len(data.encode()) <= _MOST_BUTTON_BYTES else _PLACE + place)
