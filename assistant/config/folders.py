"""The folders of the state and of the workspace: where they are, and how a first start makes them; and the machine's time zone."""

import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from zoneinfo import ZoneInfo

from assistant.config.errors import ConfigError, ConfigProblem
from assistant.contracts.util import expand_home

_DEFAULT_HOME = "~/.nanobot"
_HERE = Path(__file__).parent
_TEMPLATES = (_HERE.parent / "workspace", _HERE.parents[1] / "workspace")
"""The workspace's templates, in an installed package and in a checkout."""


def state_home(env: Mapping[str, str]) -> Path:
    """The folder of the state (store, attachments, locks): NANOBOT_HOME, else `~/.nanobot`, else, where the user has no home that could hold it
    (a container's any uid), `.nanobot` in the current folder. Absolute; it may not exist yet."""
    home = expand_home(Path(env.get("NANOBOT_HOME") or _DEFAULT_HOME))
    if not env.get("NANOBOT_HOME") and not _can_exist(home):
        home = Path(home.name)
    return home.resolve()


def _can_exist(folder: Path) -> bool:
    """Whether it is there, or can be made."""
    there = next((place for place in (folder, *folder.parents) if place.exists()), None)
    return folder.is_absolute() and there is not None and (there == folder or os.access(there, os.W_OK | os.X_OK))


def workspace_folder(written: str, home: Path, directory: Path) -> Path:
    """The workspace as an absolute path. `~/.nanobot` at its beginning is `home`; a relative one starts at `directory`."""
    if written == _DEFAULT_HOME or written.startswith(_DEFAULT_HOME + "/"):
        return (home / written[len(_DEFAULT_HOME) + 1 :]).resolve()
    path = expand_home(Path(written))
    if path.parts[:1] and path.parts[0].startswith("~"):
        text = f"{written} begins at the home of a user who has none; write the whole path"
        raise ConfigError(ConfigProblem(path=("agents", "defaults", "workspace"), text=text))
    return (directory / path).resolve()


def check_workspace(workspace: Path, home: Path, source: Path | None) -> None:
    """Raise ConfigError if tools that may write to the workspace could write to the state or to the configuration (compare CVE-2026-27002)."""
    for kept, what in ((home, "the state"), (source, "the configuration file")):
        if kept is not None and kept.is_relative_to(workspace):
            text = f"{workspace} holds {what} ({kept}), which the assistant must not be able to change; choose another folder"
            raise ConfigError(ConfigProblem(path=("agents", "defaults", "workspace"), text=text))


def make_home(home: Path) -> None:
    """Create the state's folder, readable by its owner only, if it is missing. Raises ConfigError where that fails."""
    with _as_config_error(home, ()):
        home.mkdir(mode=0o700, parents=True, exist_ok=True)


def shipped_workspace() -> Path:
    """The folder of the templates that a new workspace is made from."""
    return next(folder for folder in _TEMPLATES if folder.is_dir())


def make_workspace(workspace: Path) -> bool:
    """Create the workspace from its templates, readable by its owner only. An existing one is left alone.

    Returns whether it was created. Raises ConfigError where that fails.
    """
    if workspace.is_dir():
        return False
    templates = shipped_workspace()
    with _as_config_error(workspace, ("agents", "defaults", "workspace")):
        workspace.mkdir(mode=0o700, parents=True)
        for template in sorted(templates.rglob("*")):
            copy = workspace / template.relative_to(templates)
            if template.is_dir():
                copy.mkdir()
            else:
                copy.write_bytes(template.read_bytes())
    return True


@contextmanager
def _as_config_error(folder: Path, key: tuple[str, ...]) -> Generator[None]:
    try:
        yield
    except FileExistsError as error:
        raise ConfigError(ConfigProblem(path=key, text=f"{folder} is not a folder")) from error
    except OSError as error:
        raise ConfigError(ConfigProblem(path=key, text=f"{folder} can't be made ({error.strerror})")) from error


def machine_zone() -> ZoneInfo:
    """By TZ, else /etc/localtime; UTC where neither says it by a name."""
    _, _, linked = os.path.realpath("/etc/localtime").partition("/zoneinfo/")
    for name in (os.environ.get("TZ", "").removeprefix(":"), linked.removeprefix("posix/").removeprefix("right/")):
        try:
            return ZoneInfo(name.removeprefix("Etc/"))
        except (KeyError, ValueError, OSError):
            continue
    return ZoneInfo("UTC")
