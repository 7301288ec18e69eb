"""The configuration file: which one, and what is written in it."""

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from assistant.config.errors import ConfigError, Problem
from assistant.config.json_text import NotJson, read_json
from assistant.config.server_node import translated
from assistant.contracts.messages import Json

FILE_NAMES: Final = ("config.json", "config.json5")
"""The first that is there is read."""


def find_file(explicit: Path | None, env: Mapping[str, str], directory: Path, home: Path) -> Path | None:
    """`--config`, else NANOBOT_CONFIG, else `./config.json` (or `.json5`), else `config.json` (or `.json5`) in the home; None: the built-in defaults.

    Raises ConfigError where a file was named that is not there.
    """
    named = explicit or (Path(env["NANOBOT_CONFIG"]) if env.get("NANOBOT_CONFIG") else None)
    if named is not None:
        path = (directory / named.expanduser()).resolve()
        if not path.is_file():
            how = "--config" if explicit else "NANOBOT_CONFIG"
            raise ConfigError(Problem(path=(), text=f"there is no such file ({how} names it)", origin=str(path)))
        return path
    places = [folder / name for folder in (directory, home) for name in FILE_NAMES]
    return next((path.resolve() for path in places if path.is_file()), None)


def read_file(path: Path) -> dict[str, Json]:
    """The object in a JSON or JSON5 file (UTF-8, with or without a byte order mark), or in a TOML file by its suffix, with Server Node's keys in our
    words. Raises ConfigError that says what is wrong, and where."""
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
    try:
        found = read_json(path.read_bytes().decode("utf-8-sig"))
        if isinstance(found, dict):
            return found
        text = 'must hold a JSON object: {"api": {…}}'
    except OSError as error:
        text = f"can't be read ({error.strerror})"
    except UnicodeDecodeError as error:
        text = f"is not UTF-8 text (byte {error.start})"
    except NotJson as error:
        text = str(error)
    raise ConfigError(Problem(path=(), text=text, origin=str(path)))
