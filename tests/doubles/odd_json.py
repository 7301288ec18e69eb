"""JSON of a platform in which one thing is not as its documents say: each place of it, with each odd value, and without it."""

import json
from collections.abc import Iterator, Sequence
from copy import deepcopy
from typing import Any, Final, cast

from assistant.contracts.inbox import InboundMessage

ODD: Final[Sequence[Any]] = (
    *(None, True, 0, -1, 1 << 44, 1 << 70, 1.5, 1e300, float("nan")),
    *("", " ", "x", "../../x", "half \ud83d", "\x00", "\u0663", "9" * 5000, "<@U" * 500, "\u202e"),
    *([], [None], [[[[]]]], {}, {"id": 7}, {"text": ["x"]}, [{"id": "x"}, 7]),
)


def oddities(right: Any) -> Iterator[str]:
    """As JSON; what is no JSON (halves of characters, NaN) is written as bad clients write it."""
    for path in _places(right, ()):
        for odd in ODD:
            yield json.dumps(_with(right, path, odd))
        if path:
            yield json.dumps(_without(right, path))


def said(message: InboundMessage) -> str:
    """All that a message brings, as UTF-8 can write it, else this raises."""
    quote = message.quote
    words = [message.external_id, message.text, message.sender.id, message.sender.name, message.message_id or "", str(message.address)]
    words += [each for file in message.files for each in (file.name, file.media_type, file.ref)]
    words += [quote.text, quote.author, quote.author_id or ""] if quote is not None else []
    return "\n".join(words).encode().decode()


def _places(value: Any, path: tuple[str | int, ...]) -> Iterator[tuple[str | int, ...]]:
    yield path
    if isinstance(value, dict):
        for name, each in cast("dict[str, Any]", value).items():
            yield from _places(each, (*path, name))
    elif isinstance(value, list):
        for place, each in enumerate(cast("list[Any]", value)):
            yield from _places(each, (*path, place))


def _with(right: Any, path: Sequence[str | int], odd: Any) -> Any:
    changed = {"it": deepcopy(right)}
    _parent(changed, path)[path[-1] if path else "it"] = odd
    return changed["it"]


def _without(right: Any, path: Sequence[str | int]) -> Any:
    changed = {"it": deepcopy(right)}
    del _parent(changed, path)[path[-1]]
    return changed["it"]


def _parent(changed: Any, path: Sequence[str | int]) -> Any:
    steps: list[str | int] = ["it", *path]
    for step in steps[:-1]:
        changed = changed[step]
    return changed
