"""From an event to the parts it is sent in, and from a part to what discord.py sends."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import discord
from discord import ui

from assistant.contracts.channels import SendRefused
from assistant.contracts.outbox import Button, ButtonRows, Media, MediaFiles, OutboundEvent, OutboundPart
from assistant.contracts.text import whole
from channels.text.discord import discord_parts

MOST_CHARS: Final = 2000
_MOST_FILES, _MOST_FILE_BYTES = 10, 10 * 1024 * 1024
_MOST_BYTES: Final = 24 * 1024 * 1024
"""Of one request; Discord takes 25 MiB, the message itself included."""
_MOST_ROWS, _MOST_IN_ROW, _MOST_LABEL, _MOST_ID = 5, 5, 80, 100
SAID: Final = "say"
"""What the ids of buttons begin with whose press is the user's message: `say:<number>:<text>`."""


def plan(event: OutboundEvent) -> Sequence[OutboundPart]:
    """Text first, its last part with the files (at most ten a message) and the last of all with the buttons. Raises SendRefused.

    https://discord.com/developers/docs/resources/message#create-message, https://discord.com/developers/docs/reference#uploading-files
    """
    for media in event.media:
        if media.size > _MOST_FILE_BYTES:
            raise SendRefused("too_large", f"Discord takes files of at most 10 MB; {media.name} has {media.size / 1024 / 1024:.1f} MB.")
    rows = _rows(event.buttons)
    words = [(part.text, part.plain) for part in discord_parts(event.text, MOST_CHARS)]
    batches = _batches(event.media)
    if not words and not batches:
        raise SendRefused("empty", "There is nothing in the message.")
    parts = [OutboundPart(text=text, plain=plain) for text, plain in words[:-1]]
    text, plain = words[-1] if words else ("", "")
    parts.append(OutboundPart(text=text, plain=plain, media=batches[0] if batches else ()))
    parts += [OutboundPart(text="", plain="", media=batch) for batch in batches[1:]]
    last = parts.pop()
    return [*parts, OutboundPart(text=last.text, plain=last.plain, media=last.media, buttons=rows)]


def files_of(part: OutboundPart, kept: MediaFiles) -> list[discord.File]:
    """Opens them: in a thread, please. Raises OSError."""
    return [discord.File(kept.path(media), filename=media.name) for media in part.media]


def view_of(rows: ButtonRows) -> ui.View:
    view = ui.View(timeout=None)
    number = 0
    for row, buttons in enumerate(rows):
        for button in buttons:
            label = button.text if len(button.text) <= _MOST_LABEL else f"{button.text[: _MOST_LABEL - 1]}…"
            if button.url is not None:
                view.add_item(ui.Button(label=label, url=button.url, row=row))
            else:
                view.add_item(ui.Button(label=label, custom_id=f"{SAID}:{number}:{button.text}", row=row))
            number += 1
    view.stop()  # presses come as interactions; discord.py need not remember every view that it ever sent
    return view


def said_by(custom_id: str) -> str | None:
    """The words that a press of a button of ours stands for; None: it is no such button."""
    mark, _, rest = custom_id.partition(":")
    number, _, text = rest.partition(":")
    return text if mark == SAID and number.isdecimal() and text else None


def _batches(media: Sequence[Media]) -> list[tuple[Media, ...]]:
    batches: list[tuple[Media, ...]] = []
    for each in media:
        last = batches[-1] if batches else ()
        if last and len(last) < _MOST_FILES and sum(one.size for one in last) + each.size <= _MOST_BYTES:
            batches[-1] = (*last, each)
        else:
            batches.append((each,))
    return batches


def _rows(given: ButtonRows) -> ButtonRows:
    """Rows of at most five. Raises SendRefused."""
    rows: list[tuple[Button, ...]] = []
    for buttons in given:
        row = tuple([replace(button, text=whole(button.text)) for button in buttons])
        rows += [row[start : start + _MOST_IN_ROW] for start in range(0, len(row), _MOST_IN_ROW)]
    if len(rows) > _MOST_ROWS:
        raise SendRefused("buttons", "Discord takes at most five rows of five buttons.")
    for button in (button for row in rows for button in row):
        if not button.text.strip():
            raise SendRefused("buttons", "A button needs a text.")
        if button.url is not None and not button.url.startswith(("https://", "http://")):
            raise SendRefused("buttons", "On Discord the address of a button begins with https:// or http://.")
        if button.url is None and len(button.text) + len(SAID) + 4 > _MOST_ID:
            raise SendRefused("buttons", f"The text of a button has at most {_MOST_ID - len(SAID) - 4} characters.")
    return tuple(rows)
