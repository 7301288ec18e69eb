"""`secrets.env` in the state's folder: values of `${NAME}` in the configuration, for those who keep no environment of their own.

Lines of NAME=VALUE; the environment wins. Its owner alone may read it.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from assistant.config.errors import ConfigError, ConfigProblem
from assistant.contracts.util import write_new

FILE_NAME: Final = "secrets.env"
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_HEAD: Final = "# Secrets of nanobot: values of ${NAME} in its configuration. Readable by its owner only.\n"


def read_secrets(home: Path) -> Mapping[str, str]:
    """The values by name; empty: there is no such file. Raises ConfigError where it can't be read, or others may read it."""
    path = home / FILE_NAME
    try:
        if os.stat(path).st_mode & 0o077:
            raise _problem(path, f"may be read by others: chmod 600 {path}")
        lines = path.read_text(encoding="utf-8").splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise _problem(path, f"can't be read ({type(error).__name__})") from None
    found = dict[str, str]()
    for number, line in enumerate(lines, 1):
        name, equals, value = line.partition("=")
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if not equals or not _NAME.fullmatch(name.strip()):
            raise _problem(path, f"line {number} is not NAME=VALUE")
        found[name.strip()] = value.strip()
    return found


def keep_secret(home: Path, name: str, value: str) -> None:
    """Write or replace a value; the file is replaced as a whole. `home` exists. Raises ConfigError."""
    if not _NAME.fullmatch(name) or not value.isprintable():
        raise _problem(home / FILE_NAME, f"{name} can't be kept: a value is one line of printable characters")
    path, new = home / FILE_NAME, home / f"{FILE_NAME}.new"
    values = {**read_secrets(home), name: value}
    try:
        write_new(new, (_HEAD + "".join(f"{each}={values[each]}\n" for each in sorted(values))).encode())
        new.replace(path)
    except OSError as error:
        raise _problem(path, f"can't be written ({error.strerror})") from None


def _problem(path: Path, text: str) -> ConfigError:
    return ConfigError(ConfigProblem(path=(), text=text, origin=str(path)))
