"""What a platform's JSON holds, whatever it holds: each reads what it can and raises nothing. And a memory of the latest of something."""

from collections import OrderedDict
from typing import Any, Final, TypeVar

from assistant.contracts.util import replace_surrogates
from channels.kit.http import value_at

V = TypeVar("V")
_LARGEST: Final = 1 << 45


def text_at(value: Any, *path: str | int) -> str:
    """Empty: it is not there, or is no text."""
    found = value_at(value, *path)
    return replace_surrogates(found) if isinstance(found, str) else ""


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
