"""What a part of a form is called: its field, and its file, in each of the ways in which clients write that."""

import re
from contextlib import suppress
from email.errors import MessageError
from email.header import decode_header, make_header
from email.message import Message
from typing import Final, cast

from python_multipart.multipart import parse_options_header

_INDEX: Final = r"(?:\[[^\]]*+\]|[._-]?\d++)*+"
"""Possessive: else many digits before another character would be tried in every way to part them, for years."""
_FILES: Final = re.compile(rf"files?{_INDEX}", re.IGNORECASE)
_KINDS: Final = re.compile(
    rf"(?:file|image|img|picture|photo|document|doc|pdf|attachment|upload|media|audio|video)s?{_INDEX}", re.IGNORECASE
)
_ESCAPED: Final = re.compile("%(22|0D|0A)", re.IGNORECASE)
_LONGEST: Final = 8_192
"""Bytes of a Content-Disposition that is read by Python's parser of mail, which is slow."""


def holds_files(name: str) -> bool:
    """Whether it is a name for `files`: `file`, and what libraries make of a list (`files[]`, `files[0]`, `files.1`)."""
    return _FILES.fullmatch(name) is not None


def may_hold_files(name: str) -> bool:
    """Whether it is that, or says what kind of file it holds: `image`, `documents[]`, `photo-2`."""
    return _KINDS.fullmatch(name) is not None


def read_disposition(value: bytes) -> tuple[str, str | None] | None:
    """(field, name of its file; None: it is no file) of a Content-Disposition. None: it is not of a form, or names no field.

    A name by `filename*` (RFC 8187), in pieces too (RFC 2231), comes before one by `filename`, in which browsers write a quote as %22.
    """
    kind, options = parse_options_header(value)
    if kind != b"form-data" or b"name" not in options:
        return None
    name = options[b"name"].decode("utf-8", "replace")[:100]
    if b"*" in value and len(value) <= _LONGEST and (extended := _extended(value)) is not None:
        return name, extended
    plain = options.get(b"filename")
    return name, None if plain is None else _plain(_decoded(plain))


def _extended(value: bytes) -> str | None:
    """The name by `filename*`, or by pieces; None: there is none."""
    message = Message()
    message["Content-Disposition"] = _decoded(value).replace("\r", " ").replace("\n", " ")
    pieced = None
    for name, text in cast("list[tuple[str, str | tuple[str | None, str | None, str]]]", message.get_params([], "content-disposition")):
        if name.lower() != "filename":
            continue
        if isinstance(text, tuple):
            charset, _, encoded = text
            return _decoded(encoded.encode("utf-8" if max(encoded, default="") > "\xff" else "latin-1"), charset)
        pieced = text
    return pieced if b"filename" not in parse_options_header(value)[1] else None


def _plain(name: str) -> str:
    if name.startswith("=?") and name.endswith("?="):  # a mail program's way
        with suppress(ValueError, LookupError, MessageError):
            return str(make_header(decode_header(name))) or name
    return _ESCAPED.sub(lambda escape: chr(int(escape[1], 16)), name)


def _decoded(name: bytes, charset: str | None = None) -> str:
    """By its charset, if that is known and fits; else UTF-8, else Latin-1."""
    for encoding in filter(None, (charset, "utf-8")):
        with suppress(ValueError, LookupError):
            return name.decode(encoding)
    return name.decode("latin-1")
