"""The configuration file: which one, and what is written in it."""

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path

from assistant.config.errors import ConfigError, Problem
from assistant.config.server_node import translated
from assistant.contracts.messages import Json

FILE_NAME = "config.json"


def find_file(explicit: Path | None, env: Mapping[str, str], directory: Path, home: Path) -> Path | None:
    """`--config`, else NANOBOT_CONFIG, else `./config.json`, else `config.json` in the home; None: the built-in defaults.

    Raises ConfigError where a file was named that is not there.
    """
    named = explicit or (Path(env["NANOBOT_CONFIG"]) if env.get("NANOBOT_CONFIG") else None)
    if named is not None:
        path = (directory / named.expanduser()).resolve()
        if not path.is_file():
            how = "--config" if explicit else "NANOBOT_CONFIG"
            raise ConfigError(Problem(path=(), text=f"there is no such file ({how} names it)", origin=str(path)))
        return path
    return next((path.resolve() for path in (directory / FILE_NAME, home / FILE_NAME) if path.is_file()), None)


def read_file(path: Path) -> dict[str, Json]:
    """The object in a JSON file (UTF-8, with or without a byte order mark), or in a TOML file by its suffix, with Server Node's keys in our words.
    Raises ConfigError that says what is wrong, and where."""
    return translated(_read_toml(path), str(path)) if path.suffix.lower() == ".toml" else _read_json(path)


def _read_toml(path: Path) -> dict[str, Json]:
    try:
        return _plain(tomllib.loads(path.read_bytes().decode("utf-8-sig")))
    except OSError as error:
        text = f"can't be read ({error.strerror})"
    except UnicodeDecodeError as error:
        text = f"is not UTF-8 text (byte {error.start})"
    except tomllib.TOMLDecodeError as error:
        text = f"is not TOML: {error}"
    except RecursionError:
        text = "is nested too deeply"
    raise ConfigError(Problem(path=(), text=text, origin=str(path)))


def _plain(table: Mapping[str, object]) -> dict[str, Json]:
    """TOML's dates as the text that they were written as: no key of ours is one."""
    return json.loads(json.dumps(table, default=str))


def _read_json(path: Path) -> dict[str, Json]:

    def refused(text: str) -> ConfigError:
        return ConfigError(Problem(path=(), text=text, origin=str(path)))

    def without_duplicates(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
        found = dict(pairs)
        if len(found) < len(pairs):
            names = [name for name, _ in pairs]
            raise refused(f'the key "{next(name for name in names if names.count(name) > 1)}" stands twice in one object; keep one')
        return found

    def without_nan(word: str) -> Json:
        raise refused(f"{word} is not JSON")

    try:
        text = path.read_bytes().decode("utf-8-sig")
        found: Json = json.loads(text, object_pairs_hook=without_duplicates, parse_constant=without_nan)
    except OSError as error:
        raise refused(f"can't be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise refused(f"is not UTF-8 text (byte {error.start})") from error
    except json.JSONDecodeError as error:
        raise refused(f"is not JSON: {error.msg} at line {error.lineno}, column {error.colno}") from error
    except RecursionError as error:
        raise refused("is nested too deeply") from error
    if not isinstance(found, dict):
        raise refused('must hold a JSON object: {"api": {…}}')
    return found
