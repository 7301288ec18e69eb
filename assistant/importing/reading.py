"""JSON that others wrote: of any size, element by element; of any shape, by accessors that never fail."""

import json
import math
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import BinaryIO, Final, cast

import orjson

from assistant.contracts.util import replace_surrogates

MOST_BYTES: Final = 32 * 1024 * 1024
"""Of one element: a conversation, a line."""
MOST_CHARS: Final = 400_000
"""Of one text."""
_BLOCK: Final = 1 << 20
_OUTSIDE: Final = re.compile(rb'["{}\[\]]')
_INSIDE: Final = re.compile(rb'["\\]')
_FIRST_SECOND: Final = datetime(1995, 1, 1, tzinfo=UTC).timestamp()
_LAST_SECOND: Final = datetime(2100, 1, 1, tzinfo=UTC).timestamp()


class Unreadable(ValueError):
    """Not what it should be; `str(error)` says what is wrong with it."""


def read_value(data: bytes) -> object:
    """The value of a JSON text; lone surrogates are left to `text_of`. Raises Unreadable."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        pass
    try:
        return json.loads(data)
    except RecursionError:
        raise Unreadable("is nested too deeply") from None
    except ValueError as error:
        raise Unreadable(f"is not JSON ({str(error)[:100]})") from None


def elements(stream: BinaryIO) -> Iterator[bytes | Unreadable]:
    """The objects in an array, one after the other; of a stream that holds one object, that. Never holds more than `MOST_BYTES` of them.

    One that is too large, and an end in the middle, come as Unreadable. Raises what reading raises.
    """
    depth, base, inside, skip = 0, -1, False, 0
    kept: bytearray | None = None
    while block := stream.read(_BLOCK):
        at, start = min(skip, len(block)), 0
        skip -= at
        while found := (_INSIDE if inside else _OUTSIDE).search(block, at):
            sign, at = found[0], found.end()
            if sign == b'"':
                inside = not inside
            elif sign == b"\\":
                skip = max(0, at + 1 - len(block))
                at = min(at + 1, len(block))
            elif sign in b"{[":
                base = (1 if sign == b"[" else 0) if base < 0 else base
                if depth == base and sign == b"{":
                    kept, start = bytearray(), found.start()
                depth += 1
            else:
                depth -= 1
                if depth == base and kept is not None and sign == b"}":
                    whole = _joined(kept, block[start:at])
                    yield whole if whole is not None else Unreadable(f"is larger than {MOST_BYTES >> 20} MiB")
                    kept = None
        if kept is not None and len(kept) <= MOST_BYTES:
            kept += block[start:]
    if base < 0 or depth > 0:
        yield Unreadable("ends in the middle" if base >= 0 else "holds no JSON object or array")


def lines(stream: BinaryIO) -> Iterator[bytes | Unreadable]:
    """The lines that are not empty; one that is too large comes as Unreadable. Raises what reading raises."""
    while line := stream.readline(MOST_BYTES + 1):
        if len(line) > MOST_BYTES and not line.endswith(b"\n"):
            while (rest := stream.readline(_BLOCK)) and not rest.endswith(b"\n"):
                pass
            yield Unreadable(f"is larger than {MOST_BYTES >> 20} MiB")
        elif line.strip():
            yield line


def _joined(kept: bytearray, end: bytes) -> bytes | None:
    return None if len(kept) + len(end) > MOST_BYTES else bytes(kept + end)


def object_of(value: object) -> Mapping[str, object]:
    return cast("dict[str, object]", value) if isinstance(value, dict) else {}


def list_of(value: object) -> list[object]:
    return cast("list[object]", value) if isinstance(value, list) else []


def text_of(value: object, most: int = MOST_CHARS) -> str:
    """A text without lone surrogates and NUL, cut where it is too long; empty for anything else."""
    if not isinstance(value, str):
        return ""
    text = replace_surrogates(value.replace("\0", ""))
    return text if len(text) <= most else f"{text[:most]}\n[… {len(text) - most:,} characters were left out]"


def id_of(value: object) -> str:
    """A text or whole number as an id of at most 200 printable characters; empty: it is none."""
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    return replace_surrogates(text) if isinstance(text, str) and 0 < len(text) <= 200 and text.isprintable() else ""


def number_of(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def time_of(value: object) -> datetime | None:
    """ISO 8601 (without a zone: UTC), or seconds or milliseconds since 1970; None: it is no time between 1995 and 2100."""
    number = number_of(value)
    if number is not None:
        number = number / 1000 if number > _LAST_SECOND else number
        return datetime.fromtimestamp(number, UTC) if _FIRST_SECOND <= number < _LAST_SECOND else None
    if not isinstance(value, str) or len(value) > 64:
        return None
    try:
        read = datetime.fromisoformat(value.strip())
        read = read if read.tzinfo else read.replace(tzinfo=UTC)
        return read.astimezone(UTC) if _FIRST_SECOND <= read.timestamp() < _LAST_SECOND else None
    except (ValueError, OverflowError):
        return None
