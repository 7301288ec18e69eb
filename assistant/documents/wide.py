"""Text in UTF-16 or UTF-32 without a byte-order mark, in any script."""

import unicodedata
from collections import Counter

_SPACES = frozenset(" \t\n\r")
_CONTROLS = bytes({*range(32)} - {*b"\t\n\r\f\v\b\x1b"})
_PRINTABLE = bytes(range(32, 127))
_SAMPLE = 8_192
_EVERYWHERE = 0
_IDEOGRAPHS = 1
_HANGUL = 2


def guess_wide(head: bytes) -> str:
    """The encoding, such as "utf-16-le", of the first bytes of a text; "" for other bytes.

    Other text holds hardly any control bytes, and UTF-16 nearly always does. Read in the right order, its characters are all assigned and
    nine of ten belong to one script or are Latin letters, digits and signs; read in the wrong order, or in other data, they are not.
    """
    head = head[:_SAMPLE]
    controls = len(head) - len(head.translate(None, _CONTROLS))
    if len(head) < 4 or not controls or (not _has_pages(head) and (controls * 100 < len(head) or _is_utf8(head))):
        return ""
    best, encoding = 0.0, ""
    for name, width in (("utf-32-le", 4), ("utf-32-be", 4), ("utf-16-le", 2), ("utf-16-be", 2)):
        score = _rate(head[: len(head) // width * width], name)
        if score > best:
            best, encoding = score, name
    return encoding


def _rate(data: bytes, encoding: str) -> float:
    """How well the bytes read as text: above 0 for text, above 1 where its common characters are those below U+0080."""
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        if error.end < len(data) - 4:
            return 0
        text = data[: error.start].decode(encoding)  # the sample ends within a character
    size = len(text)
    bad = sum(1 for sign in text if sign not in _SPACES and unicodedata.category(sign) in {"Cn", "Co", "Cs", "Cc"})
    if size < 2 or bad * 50 > size:
        return 0
    scripts = Counter(map(_script, text))
    common = scripts.pop(_EVERYWHERE, 0)
    first = max(scripts.values(), default=0)
    if (common + first) * 10 < size * 9:
        return 0
    usual = sum(1 for sign in text if sign < "\x80" or "\u3000" <= sign <= "\u30ff")
    if usual * 5 < size and len(data.translate(None, _PRINTABLE)) * 10 < len(data) * 3:
        return 0  # pairs of ASCII letters, which are ideographs
    return (common + first + usual) / size


def _has_pages(head: bytes) -> bool:
    """Whether bytes below 32, the upper halves of most alphabets, fill the even or the odd places."""
    low = [sum(1 for byte in head[start::2] if byte < 32) for start in (0, 1)]
    return max(low) * 10 > len(head) * 3 or sum(low) * 2 > len(head)


def _is_utf8(head: bytes) -> bool:
    try:
        head.decode()
    except UnicodeDecodeError as error:
        return error.start >= len(head) - 3
    return True


def _script(sign: str) -> int:
    """A number for the script of a character: 0 for those used with every script, else by its block of Unicode."""
    code = ord(sign)
    if code < 0x0370 or 0x1E00 <= code < 0x1F00 or 0x2000 <= code < 0x2C00:
        return _EVERYWHERE
    if 0x2E80 <= code < 0xA000 or 0xF900 <= code < 0xFB00 or 0xFF00 <= code < 0xFFF0 or code >= 0x20000:
        return _IDEOGRAPHS
    if 0xAC00 <= code < 0xD7B0:
        return _HANGUL
    return 0x04 << 8 if 0x0400 <= code < 0x0530 else code >> 8 << 8
