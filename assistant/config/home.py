"""Where the state lives, and where the workspace is; never the one inside the other's reach."""

from collections.abc import Mapping
from pathlib import Path

from assistant.config.errors import ConfigError, Problem

_DEFAULT = "~/.nanobot"


def state_home(env: Mapping[str, str]) -> Path:
    """The folder of the state (store, attachments, locks): NANOBOT_HOME, else `~/.nanobot`. Absolute; it may not exist yet."""
    return Path(env.get("NANOBOT_HOME") or _DEFAULT).expanduser().resolve()


def workspace_folder(written: str, home: Path, directory: Path) -> Path:
    """The workspace as an absolute path. `~/.nanobot` at its beginning is `home`; a relative one starts at `directory`."""
    if written == _DEFAULT or written.startswith(_DEFAULT + "/"):
        return (home / written[len(_DEFAULT) + 1 :]).resolve()
    return (directory / Path(written).expanduser()).resolve()


def check_workspace(workspace: Path, home: Path, source: Path | None) -> None:
    """Raise ConfigError if tools that may write to the workspace could write to the state or to the configuration (compare CVE-2026-27002)."""
    for kept, what in ((home, "the state"), (source, "the configuration file")):
        if kept is not None and kept.is_relative_to(workspace):
            text = f"{workspace} holds {what} ({kept}), which the assistant must not be able to change; choose another folder"
            raise ConfigError(Problem(path=("agents", "defaults", "workspace"), text=text, origin=""))
