"""Buttons under a message: what is sent with them, and what a press of one says."""

from typing import Final

from telegram import InlineKeyboardButton, InlineKeyboardMarkup

from assistant.contracts.outbox import Button, ButtonRows

_MOST_BYTES: Final = 64
"""Of what a button carries."""
_WORDS, _PLACE = "t", "#"
"""How that begins: the button's own words, or its place where they are too long."""


def keyboard(rows: ButtonRows) -> InlineKeyboardMarkup | None:
    """Buttons without words are left out; one whose URL Telegram would refuse sends its words instead."""
    made = [
        [_button(button, f"{row}.{column}") for column, button in enumerate(line) if button.text.strip()] for row, line in enumerate(rows)
    ]
    made = [line for line in made if line]
    return InlineKeyboardMarkup(made) if made else None


def pressed(data: str, markup: InlineKeyboardMarkup | None) -> str | None:
    """The words that a press says. `markup`: of the message that the button is under. None: not a button of ours."""
    if data.startswith(_WORDS):
        return data[len(_WORDS) :]
    if data.startswith(_PLACE) and markup is not None:
        return next((button.text for line in markup.inline_keyboard for button in line if button.callback_data == data), None)
    return None


def _button(button: Button, place: str) -> InlineKeyboardButton:
    if button.url is not None and button.url.startswith(("https://", "http://", "tg://")):
        return InlineKeyboardButton(button.text, url=button.url)
    data = _WORDS + button.text
    return InlineKeyboardButton(button.text, callback_data=data if len(data.encode()) <= _MOST_BYTES else _PLACE + place)
