"""An event as the messages that Discord takes, and buttons as components."""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import discord
from discord import ui

from assistant.contracts.channels import SendRefused
from assistant.contracts.outbox import ButtonRows, Media, OutboundEvent, OutboundPart
from assistant.contracts.util import replace_surrogates
from channels.kit.forms import checked_buttons, checked_media, with_lines
from channels.text.discord import discord_parts

MOST_CHARS: Final = 2000
_MOST_FILES, _MOST_FILE_BYTES = 10, 10 * 1024 * 1024
_MOST_BYTES: Final = 24 * 1024 * 1024
"""Of one request; Discord takes 25 MiB, the message itself included."""
_MOST_ROWS, _MOST_IN_ROW, _MOST_LABEL, _MOST_ID, _MOST_URL = 5, 5, 80, 100, 512
_URL: Final = re.compile(r"(?:https?|discord)://[^\s/?#]+\S*", re.IGNORECASE)
SAID: Final = "say"
"""Prefix of the ids of buttons whose press is the user's message: `say:<number>:<text>`."""
GIVEN: Final = "do"
"""Prefix of those whose press is a command: `do:<number>:<command>`."""


def plan(event: OutboundEvent) -> Sequence[OutboundPart]:
    """Text first, its last part with the files (at most ten a message) and the last of all with the buttons. Raises SendRefused where nothing is left
    that Discord takes.
    https://discord.com/developers/docs/resources/message#create-message, https://discord.com/developers/docs/reference#uploading-files"""
    media, without = checked_media(event, _refusal)
    given = tuple(tuple(replace(button, text=replace_surrogates(button.text)) for button in row) for row in event.buttons)
    longest = _MOST_ID - len(SAID) - 4
    buttons, lines, unlinked = checked_buttons(given, can_link, most_rows=_MOST_ROWS, most_in_row=_MOST_IN_ROW, most_text=longest)
    parts = [OutboundPart(text=part.text, plain=part.plain) for part in discord_parts(with_lines(event.text, lines), MOST_CHARS)]
    batches = _batches(media)
    if parts and batches:
        parts[-1] = replace(parts[-1], media=batches.pop(0))
    parts += [OutboundPart(text="", plain="", media=batch) for batch in batches]
    if not parts:
        raise SendRefused("empty", "There is nothing in the message.")
    parts[-1] = replace(parts[-1], buttons=buttons, notice="; ".join(filter(None, [without, unlinked])))
    return parts


def _refusal(media: Media) -> tuple[str, str] | None:
    if media.size <= _MOST_FILE_BYTES:
        return None
    return "too_large", f"Discord takes files of at most 10 MB, and it has {media.size / 1024 / 1024:.1f} MB"


def can_link(url: str) -> bool:
    """Whether a button may lead there. https://discord.com/developers/docs/components/reference#button"""
    return len(url) <= _MOST_URL and _URL.fullmatch(url) is not None


def view_of(rows: ButtonRows) -> ui.View:
    view = ui.View(timeout=None)
    number = 0
    for row, buttons in enumerate(rows):
        for button in buttons:
            label = button.text if len(button.text) <= _MOST_LABEL else f"{button.text[: _MOST_LABEL - 1]}…"
            if button.url is not None:
                view.add_item(ui.Button(label=label, url=button.url, row=row))
            else:
                said = f"{SAID}:{number}:{button.text}" if button.command is None else f"{GIVEN}:{number}:{button.given}"
                view.add_item(ui.Button(label=label, custom_id=said, row=row))
            number += 1
    view.stop()  # presses come as interactions: discord.py must not keep every view that it has sent
    return view


def reply_in(channel: discord.PartialMessageable, reply_to: str | None) -> dict[str, Any]:
    if reply_to is None or not reply_to.isdecimal():
        return {}
    return {"reference": channel.get_partial_message(int(reply_to)).to_reference(fail_if_not_exists=False)}


def said_by(custom_id: str) -> str | None:
    """The text, or the command, of the button with this id; None: it is not one of ours."""
    mark, _, rest = custom_id.partition(":")
    number, _, text = rest.partition(":")
    return text if mark in (SAID, GIVEN) and number.isdecimal() and text else None


def _batches(media: Sequence[Media]) -> list[tuple[Media, ...]]:
    batches: list[tuple[Media, ...]] = []
    for each in media:
        last = batches[-1] if batches else ()
        if last and len(last) < _MOST_FILES and sum(one.size for one in last) + each.size <= _MOST_BYTES:
            batches[-1] = (*last, each)
        else:
            batches.append((each,))
    return batches
