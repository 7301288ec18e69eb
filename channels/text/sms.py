"""Markdown → the text of an SMS, in signs of its own alphabet where there are some.

Text that is wholly in the GSM alphabet takes 153 characters for each part of a long message, other text 67 UTF-16 code units.
https://www.twilio.com/docs/glossary/what-is-gsm-7-character-encoding
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from channels.text.blocks import Block, FormattedPart, Line, Span, clean, indent, utf16
from channels.text.splitting import Size, TextForm, parts_of

_SINGLE: Final = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_DOUBLE: Final = frozenset("^{}\\[~]|€\f")
_PLAINER: Final = str.maketrans(
    {"•": "-", "◦": "-", "▪": "-", "“": '"', "”": '"', "„": '"', "‘": "'", "’": "'", "…": "...", "–": "-", "—": "-", "\u00a0": " "}
    | {"☐": "[ ]", "☑": "[x]", "─": "-", "→": "->", "\t": " "}
)
GSM_LIMIT: Final = 1530
"""Ten parts; Twilio takes 1,600 characters."""
_OTHER_LIMIT: Final = 670


def sms_parts(markdown: str, limit: int) -> list[FormattedPart]:
    """A text in messages of at most `limit` characters of the GSM alphabet, or as many parts of other text. Empty: there is nothing to see in it.
    Never raises, and loses no word."""
    in_gsm = _is_gsm(clean(markdown).translate(_PLAINER))
    form = _SmsForm(limit if in_gsm else limit * _OTHER_LIMIT // GSM_LIMIT, in_gsm=in_gsm)
    return [replace(part, plain=part.text) for part in parts_of(markdown, form, lambda url: True)]


def segments(text: str) -> int:
    """The parts that a message is charged as."""
    if _is_gsm(text):
        size = sum(2 if char in _DOUBLE else 1 for char in text)
        return 1 if size <= 160 else -(-size // 153)
    size = utf16(text)
    return 1 if size <= 70 else -(-size // 67)


def _is_gsm(text: str) -> bool:
    return all(char in _SINGLE or char in _DOUBLE for char in text)


class _SmsForm(TextForm):
    def __init__(self, limit: int, *, in_gsm: bool) -> None:
        super().__init__(limit)
        self._in_gsm = in_gsm

    def around(self, block: Block) -> Size:
        return Size(2)

    def lead(self, block: Block, line: Line) -> Size:
        return Size(self._size(" " * 2 * block.quote + indent(line)) + 1)

    def span(self, block: Block, span: Span) -> Size:
        return Size(self._size(span.text) + (self._size(span.style.link) + 3 if span.style.link else 0))

    def text(self, blocks: Sequence[Block]) -> str:
        return super().text(blocks).translate(_PLAINER)

    def _size(self, text: str) -> int:
        text = text.translate(_PLAINER)
        return sum(2 if char in _DOUBLE else 1 for char in text) if self._in_gsm else utf16(text)
