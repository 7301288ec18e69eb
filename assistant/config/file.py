"""The configuration file: finding it, and reading it as JSON, JSON5 or TOML."""

import json
import math
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, NoReturn

from assistant.config.aliases import translated
from assistant.config.errors import ConfigError, ConfigProblem
from assistant.contracts.messages import Json
from assistant.contracts.util import expand_home

FILE_NAMES: Final = ("config.json", "config.json5")
"""The first that exists is read."""
_PLACE: Final = re.compile(r"<string>:(?P<line>\d+) (?P<what>.*) at column (?P<column>\d+)", re.DOTALL)
MOST_JSON5: Final = 256 * 1024
"""Characters of a JSON5 text; its parser reads about 30,000 a second."""


def find_file(explicit: Path | None, env: Mapping[str, str], directory: Path, home: Path) -> Path | None:
    """`--config`, else NANOBOT_CONFIG, else `./config.json` (or `.json5`), else `config.json` (or `.json5`) in the home; None: the built-in defaults.

    Raises ConfigError where a named file does not exist.
    """
    named = explicit or (Path(env["NANOBOT_CONFIG"]) if env.get("NANOBOT_CONFIG") else None)
    if named is not None:
        path = (directory / expand_home(named)).resolve()
        if not path.is_file():
            how = "--config" if explicit else "NANOBOT_CONFIG"
            raise ConfigError(ConfigProblem(path=(), text=f"there is no such file ({how} names it)", origin=str(path)))
        return path
    places = [folder / name for folder in (directory, home) for name in FILE_NAMES]
    return next((path.resolve() for path in places if path.is_file()), None)


def read_file(path: Path) -> dict[str, Json]:
    """The object in a JSON or JSON5 file (UTF-8, with or without a byte order mark), or in a TOML file by its suffix, with Server Node's keys
    translated to ours. Raises ConfigError, with the place of the fault."""
    toml = path.suffix.lower() == ".toml"
    try:
        text = path.read_bytes().decode("utf-8-sig")
        # TOML's dates become texts: no key of ours is a date
        found: Json = json.loads(json.dumps(tomllib.loads(text), default=str)) if toml else read_json(text)
        if isinstance(found, dict):
            return translated(found, str(path)) if toml else found
        wrong = 'must hold a JSON object: {"api": {…}}'
    except OSError as error:
        wrong = f"can't be read ({error.strerror})"
    except UnicodeDecodeError as error:
        wrong = f"is not UTF-8 text (byte {error.start})"
    except tomllib.TOMLDecodeError as error:
        wrong = f"is not TOML: {error}"
    except NotJson as error:
        wrong = str(error)
    except RecursionError:
        wrong = "is nested too deeply"
    raise ConfigError(ConfigProblem(path=(), text=wrong, origin=str(path)))


class NotJson(Exception):
    """The text is not JSON; `str(error)` says what is wrong, and where."""


def read_json(text: str) -> Json:
    """The value of a JSON text, or of a JSON5 text. NaN, Infinity, larger numbers and a key twice in one object are refused.

    Raises NotJson, with the error of the parser that read further.
    """
    try:
        return json.loads(text, **_HOOKS)
    except json.JSONDecodeError as error:
        wrong = error
    except ValueError:  # Python's limit on digits
        raise NotJson("holds a number with too many digits") from None
    except RecursionError:
        raise NotJson("is nested too deeply") from None
    plainly = NotJson(f"is not JSON: {wrong.msg} at line {wrong.lineno}, column {wrong.colno}")
    if len(text) > MOST_JSON5:
        raise plainly from None
    return _read_json5(text, wrong, plainly)


def _read_json5(text: str, wrong: json.JSONDecodeError, plainly: NotJson) -> Json:
    import json5  # noqa: PLC0415 - slow to import, and rarely needed

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


_HOOKS: Final[dict[str, Any]] = {"object_pairs_hook": _without_duplicates, "parse_constant": _without_nan, "parse_float": _finite}
