"""JSON, and JSON5 where a file is that: comments, trailing commas, names without quotes, single quotes."""

import json
import math
import re
from collections.abc import Iterable
from typing import Any, Final, NoReturn

from assistant.contracts.messages import Json

_PLACE: Final = re.compile(r"<string>:(?P<line>\d+) (?P<what>.*) at column (?P<column>\d+)", re.DOTALL)
MOST_JSON5: Final = 256 * 1024
"""Characters: its parser reads about 30,000 in a second."""


class NotJson(Exception):
    """`str(error)` says what is wrong with the text, and where."""


def read_json(text: str) -> Json:
    """What the text says, as JSON, or as JSON5 where it isn't that. Neither NaN, nor Infinity, nor what is as large, nor a key twice in one object.

    Raises NotJson; of a text that is neither, it says what is wrong in whichever of the two goes on longer.
    """
    try:
        return json.loads(text, **_HOOKS)
    except json.JSONDecodeError as error:
        wrong = error
    except ValueError:  # Python's bound on digits
        raise NotJson("holds a number with too many digits") from None
    except RecursionError:
        raise NotJson("is nested too deeply") from None
    plainly = NotJson(f"is not JSON: {wrong.msg} at line {wrong.lineno}, column {wrong.colno}")
    if len(text) > MOST_JSON5:
        raise plainly from None
    return _read_json5(text, wrong, plainly)


def _read_json5(text: str, wrong: json.JSONDecodeError, plainly: NotJson) -> Json:
    import json5  # noqa: PLC0415 - for those who write it

    try:
        return json5.loads(text, **_HOOKS)
    except NotJson:
        raise
    except RecursionError:
        raise NotJson("is nested too deeply") from None
    except ValueError as error:
        place = _PLACE.fullmatch(str(error))
        if place is None or (int(place["line"]), int(place["column"])) <= (wrong.lineno, wrong.colno):
            raise plainly from None
        raise NotJson(f"is not JSON5: {place['what']} at line {place['line']}, column {place['column']}") from None


def _without_duplicates(pairs: Iterable[tuple[str, Json]]) -> dict[str, Json]:
    found = dict[str, Json]()
    for name, value in pairs:
        if name in found:
            raise NotJson(f'the key "{name}" stands twice in one object; keep one')
        found[name] = value
    return found


def _without_nan(word: str) -> NoReturn:
    raise NotJson(f"{word} is not JSON")


def _finite(number: str) -> float:
    value = float(number)
    if math.isinf(value):
        raise NotJson(f"the number {number[:40]} is too large")
    return value


_HOOKS: Final[dict[str, Any]] = {
    "object_pairs_hook": _without_duplicates,
    "parse_constant": _without_nan,
    "parse_float": _finite,
}
