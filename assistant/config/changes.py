"""Changes of the configuration file, checked as a whole before any of it is written; secrets go into `secrets.env`.

What `nanobot init`, `nanobot channels add` and `nanobot import` write goes through here.
"""

import fcntl
import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from assistant.config.errors import ConfigError, ConfigProblem
from assistant.config.file import FILE_NAMES, NotJson
from assistant.config.folders import make_home
from assistant.config.load import Loaded, load_config
from assistant.config.secrets_file import keep_secret
from assistant.config.writing import ConfigPath, with_values
from assistant.contracts.messages import Json
from assistant.contracts.util import write_new

_HOW: Final = "write the section by hand"


@dataclass(slots=True)
class ConfigChanges:
    """What is to be written. A value that refers to a secret is `${NAME}`."""

    values: dict[ConfigPath, Json] = field(default_factory=dict[ConfigPath, Json])
    """By path, in the order in which they are written."""
    secrets: dict[str, str] = field(default_factory=dict[str, str])
    """By the names of their variables. A variable of the environment wins over them."""

    def __bool__(self) -> bool:
        return bool(self.values or self.secrets)

    def add(self, more: "ConfigChanges") -> None:
        self.values |= more.values
        self.secrets |= more.secrets

    def keep(self, path: ConfigPath, variable: str, value: str) -> None:
        """A secret at a path."""
        self.values[path] = f"${{{variable}}}"
        self.secrets[variable] = value


def previewed(changes: ConfigChanges, loaded: Loaded, env: Mapping[str, str]) -> Loaded:
    """The configuration that would hold; nothing of it stays written. Raises as `write_changes`."""
    if not changes:
        return loaded
    with _one_at_a_time(loaded.home), _written_beside(changes, loaded) as (new, path):
        return replace(load_config(new, {**changes.secrets, **env}), source=path)


def write_changes(changes: ConfigChanges, loaded: Loaded, env: Mapping[str, str]) -> Loaded:
    """Write the changes into the file in use, or into a new one in the state's folder; the configuration that then holds.

    Nothing is written unless the whole is valid. Raises ConfigError with every problem, also for a file that is no JSON.
    """
    with _one_at_a_time(loaded.home), _written_beside(changes, loaded) as (new, path):
        load_config(new, {**changes.secrets, **env})
        for name, value in changes.secrets.items():
            keep_secret(loaded.home, name, value)
        try:
            new.replace(path)
        except OSError as error:
            raise _problem(path, f"can't be written ({error.strerror})") from None
    return load_config(path, env)


@contextmanager
def _one_at_a_time(home: Path) -> Generator[None]:
    """Among all threads and processes that change the configuration or its secrets."""
    try:
        make_home(home)
        lock = os.open(home / "changes.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _problem(home, f"can't be written ({error.strerror})") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


@contextmanager
def _written_beside(changes: ConfigChanges, loaded: Loaded) -> Generator[tuple[Path, Path]]:
    """(A file with the changed text, which is removed in the end; the file that it is to replace.)"""
    path = loaded.source or loaded.home / FILE_NAMES[0]
    if path.suffix.lower() == ".toml":
        raise _problem(path, f"is TOML, which is not changed here: {_HOW}")
    try:
        text = with_values(path.read_text(encoding="utf-8-sig") if path.exists() else "", changes.values)
    except (NotJson, UnicodeDecodeError) as error:
        raise _problem(path, f"{error}; {_HOW}") from None
    except OSError as error:
        raise _problem(path, f"can't be read ({error.strerror})") from None
    new = path.with_name(f".{path.name}.new{path.suffix}")
    try:
        mode = path.stat().st_mode & 0o777 if path.exists() else 0o600
        write_new(new, text.encode(), mode)
    except OSError as error:
        new.unlink(missing_ok=True)
        raise _problem(path, f"can't be written ({error.strerror})") from None
    try:
        yield new, path
    except ConfigError as error:  # it names the file that is to be
        raise ConfigError(*[replace(each, origin=str(path)) if each.origin == str(new) else each for each in error.problems]) from None
    finally:
        new.unlink(missing_ok=True)


def _problem(path: Path, text: str) -> ConfigError:
    return ConfigError(ConfigProblem(path=(), text=text, origin=str(path)))
