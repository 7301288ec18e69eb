"""What a platform's JSON holds, whatever it holds: each reads what it can and raises nothing. And a memory of the latest of something."""

import json
import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import orjson

from assistant.contracts.util import replace_surrogates

V = TypeVar("V")
_LARGEST: Final = 1 << 45
_LATEST: Final = 253_402_300_800
"""Seconds until the year 10000."""
_DIGITS: Final = re.compile(r"[0-9]{1,16}")
UNREADABLE: Final = (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError, OSError, RecursionError)
"""Raised by a platform's SDK for what is not as documented."""


def loads(text: bytes | str) -> Any:
    """JSON of a platform; halves of surrogate pairs, which are no JSON, come as they are. Raises ValueError, also where it is nested without end."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        try:
            return json.loads(text.decode("utf-8", "replace") if isinstance(text, bytes) else text, parse_constant=_no_number)
        except RecursionError:
            raise ValueError from None


def json_in(text: bytes | str) -> Any:
    """The same; None where it is none."""
    try:
        return loads(text)
    except ValueError:
        return None


def _no_number(name: str) -> None:
    raise ValueError(name)


def value_at(value: Any, *path: str | int) -> Any:
    """A value deep in JSON: of objects by name, of lists by place. None: it is not there."""
    for step in path:
        if isinstance(value, dict) and isinstance(step, str):
            value = value.get(step)  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType] - JSON of a platform
        elif isinstance(value, list) and isinstance(step, int) and -len(value) <= step < len(value):  # pyright: ignore[reportUnknownArgumentType]
            value = value[step]  # pyright: ignore[reportUnknownVariableType]
        else:
            return None
    return value  # pyright: ignore[reportUnknownVariableType]


def text_at(value: Any, *path: str | int) -> str:
    """Empty: it is not there, or is no text."""
    found = value_at(value, *path)
    return replace_surrogates(found) if isinstance(found, str) else ""


def id_at(value: Any, *path: str | int, most: int = 200) -> str:
    """An id: characters that can be seen, `most` at most; empty: it is not there, or is none."""
    found = value_at(value, *path)
    return found if isinstance(found, str) and len(found) <= most and found.isprintable() and found == found.strip() else ""


def list_at(value: Any, *path: str | int) -> list[Any]:
    """Empty: it is not there, or is no list."""
    found = value_at(value, *path)
    return found if isinstance(found, list) else []  # pyright: ignore[reportUnknownVariableType] - JSON of a platform


def objects_at(value: Any, *path: str | int) -> list[dict[str, Any]]:
    """The objects of a list."""
    return [each for each in list_at(value, *path) if isinstance(each, dict)]


def number_at(value: Any, *path: str | int) -> int:
    """A whole number from 1 to 2⁴⁵ (a time in milliseconds, an id); 0: it is not there, or is none."""
    found = value_at(value, *path)
    return found if isinstance(found, int) and not isinstance(found, bool) and 0 < found < _LARGEST else 0


def time_at(value: Any, *path: str | int, per_second: int = 1) -> datetime:
    """A time since 1970, in seconds or (`per_second`) smaller units, as a number or in digits; now: it is not there, or is none."""
    found = value_at(value, *path)
    number = int(found) if isinstance(found, str) and _DIGITS.fullmatch(found) else found
    if isinstance(number, int) and not isinstance(number, bool) and 0 < number < _LATEST * per_second:
        return datetime.fromtimestamp(number / per_second, UTC)
    return datetime.now(UTC)


def written_time_at(value: Any, *path: str | int) -> datetime:
    """A time as ISO 8601 writes it, in UTC where it names no zone; now: it is not there, or is none."""
    try:
        found = datetime.fromisoformat(text_at(value, *path))
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return datetime.now(UTC)


def place_words(place: Any, *names: str) -> str:
    """A place on the map as words. `names`: the keys of what it is called; those of its position are `latitude` and `longitude`."""
    latitude, longitude = value_at(place, "latitude"), value_at(place, "longitude")
    known = isinstance(latitude, (int, float)) and isinstance(longitude, (int, float))
    named = ", ".join(filter(None, [text_at(place, name) for name in names]))
    return " ".join(filter(None, ["Location:", f"{latitude}, {longitude}" if known else "", f"({named})" if named else ""]))


class Latest(OrderedDict[str, V]):
    """The latest values by key; the oldest are forgotten: what a platform sends must not make it grow without end."""

    def __init__(self, most: int = 4096) -> None:
        super().__init__()
        self._most = most

    def __setitem__(self, key: str, value: V) -> None:
        super().__setitem__(key, value)
        self.move_to_end(key)
        if len(self) > self._most:
            self.popitem(last=False)

    def put(self, key: str, value: V) -> None:
        self[key] = value

    async def or_ask(self, key: str, ask: Callable[[str], Awaitable[V]]) -> V:
        """The value of the key; where there is none, what `ask` gives, which is remembered. Raises what `ask` raises."""
        if key not in self:
            self[key] = await ask(key)
        return self[key]
