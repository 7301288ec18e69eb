"""What the answer of a platform that refuses says: how long to wait, and why."""

import math
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from channels.kit.values import value_at

_LONGEST_WAIT: Final = 30 * 86_400.0


def seconds_in(value: object) -> float | None:
    """The seconds of a wait in JSON, a month at most; None: it is none."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < math.inf:
        return None
    return min(float(value), _LONGEST_WAIT)


def seconds_until(value: str | None, now: datetime) -> float | None:
    """The seconds of a Retry-After header, which holds seconds or a date (RFC 9110, 10.2.3). None: it is missing or invalid."""
    if value is None:
        return None
    try:
        seconds = float(value)
        if seconds < 0:
            return None
    except ValueError:
        if (date := date_in(value)) is None:
            return None
        seconds = date.timestamp() - now.timestamp()
    return min(max(seconds, 0.0), _LONGEST_WAIT) if math.isfinite(seconds) else None


def date_in(value: str | None) -> datetime | None:
    """The time of a header (Date, Retry-After), in UTC where it names no zone. None: it is missing or invalid."""
    try:
        date = parsedate_to_datetime(value or "")
    except (ValueError, OverflowError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)


_WORDS: Final = ("message", "error_description", "description", "error", "msg", "errmsg", "detail", "title", "reason")


def words_in(body: object, deepest: int = 4) -> str:
    """The words of an error, wherever its JSON has them, so many levels down."""
    if isinstance(body, str):
        return body
    for name in _WORDS:
        found = value_at(body, name)
        if words := words_in(found, deepest - 1) if isinstance(found, dict) and deepest else found if isinstance(found, str) else "":  # pyright: ignore[reportUnknownArgumentType]
            return words
    return ""
