"""Keys that another product's document keeps in another place: moved to ours before anything is checked."""

from collections.abc import Mapping
from typing import Final

from assistant.contracts.messages import Json

_PLACES: Final[Mapping[tuple[str, ...], tuple[str, ...]]] = {
    ("gateway", "auth"): ("auth",),
    ("gateway", "http", "endpoints"): ("api", "endpoints"),
}
"""Moltbot's place, and ours. What stands in both is taken from ours, key by key."""


def moved(raw: Mapping[str, Json]) -> dict[str, Json]:
    """The object of a configuration file, with those keys where we have them."""
    found = dict(raw)
    for theirs, ours in _PLACES.items():
        rest, value = _taken(found, theirs)
        if isinstance(value, Mapping):
            found = _laid_under(rest, ours, value)
    return found


def _taken(raw: Mapping[str, Json], path: tuple[str, ...]) -> tuple[dict[str, Json], Json]:
    """What is left without the key at `path`, and its value. Sections that it leaves empty go too."""
    first, *rest = path
    left, value = dict(raw), raw.get(first)
    if not rest:
        left.pop(first, None)
        return left, value
    if not isinstance(value, Mapping):
        return left, None
    inner, found = _taken(value, tuple(rest))
    if inner:
        left[first] = inner
    else:
        left.pop(first)
    return left, found


def _laid_under(raw: Mapping[str, Json], path: tuple[str, ...], value: Mapping[str, Json]) -> dict[str, Json]:
    first, *rest = path
    there = raw.get(first)
    section: dict[str, Json] = dict(there) if isinstance(there, Mapping) else {}
    inner: dict[str, Json] = _laid_under(section, tuple(rest), value) if rest else {**value, **section}
    return {**raw, first: inner}
