"""What a platform's JSON holds, whatever it holds: each reads what it can and raises nothing. And a memory of the latest of something."""

from collections import OrderedDict
from typing import Any, Generic, TypeVar

from assistant.contracts.util import replace_surrogates
from channels.kit.http import value_at

V = TypeVar("V")


def text_at(value: Any, *path: str | int) -> str:
    """Empty: it is not there, or is no text."""
    found = value_at(value, *path)
    return replace_surrogates(found) if isinstance(found, str) else ""


def list_at(value: Any, *path: str | int) -> list[Any]:
    """Empty: it is not there, or is no list."""
    found = value_at(value, *path)
    return found if isinstance(found, list) else []  # pyright: ignore[reportUnknownVariableType] - JSON of a platform


def place_words(place: Any, *names: str) -> str:
    """A place on the map as words. `names`: the keys of what it is called; those of its position are `latitude` and `longitude`."""
    latitude, longitude = value_at(place, "latitude"), value_at(place, "longitude")
    known = isinstance(latitude, (int, float)) and isinstance(longitude, (int, float))
    named = ", ".join(filter(None, [text_at(place, name) for name in names]))
    return " ".join(filter(None, ["Location:", f"{latitude}, {longitude}" if known else "", f"({named})" if named else ""]))


class Latest(Generic[V]):
    """The latest values by key; the oldest are forgotten."""

    def __init__(self, most: int) -> None:
        self._kept: OrderedDict[str, V] = OrderedDict()
        self._most = most

    def put(self, key: str, value: V) -> None:
        self._kept[key] = value
        self._kept.move_to_end(key)
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)

    def get(self, key: str) -> V | None:
        return self._kept.get(key)

    def pop(self, key: str) -> V | None:
        """The value, which is forgotten."""
        return self._kept.pop(key, None)

    def __contains__(self, key: object) -> bool:
        return key in self._kept
