"""A channel's section of the configuration file, written and checked, as `nanobot channels add` does."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from assistant.config.errors import ConfigError, ConfigProblem
from assistant.config.file import FILE_NAMES, NotJson
from assistant.config.folders import make_home
from assistant.config.load import Loaded, load_config
from assistant.config.secrets_file import keep_secret
from assistant.config.writing import ConfigPath, with_values
from assistant.contracts.channels import ChannelKind, Need
from assistant.contracts.messages import Json
from assistant.contracts.util import write_new
from channels.catalog import OWN, channel_kind, installed_names


def every_kind() -> Mapping[str, ChannelKind]:
    """All channels, ours and those of installed packages, by name. Imports their kinds, and no SDK."""
    found = {name: channel_kind(name) for name in (*OWN, *installed_names())}
    return {name: kind for name, kind in found.items() if kind is not None}


@dataclass(slots=True)
class ChannelSection:
    """What is to be written: answers to the channel's needs, by their keys; secrets go into `secrets.env`."""

    kind: ChannelKind
    answers: dict[str, str] = field(default_factory=dict[str, str])
    owners: tuple[str, ...] = ()

    def missing(self) -> list[Need]:
        """The needs without an answer that have to have one."""
        return [need for need in self.kind.needs if not need.optional and not need.default and not self.answers.get(need.key)]

    def changes(self) -> dict[ConfigPath, Json]:
        """The values of the file, by path. A secret is `${NAME}` there."""
        section = ("channels", self.kind.name)
        found: dict[ConfigPath, Json] = {(*section, "enabled"): True}
        for need in self.kind.needs:
            value = self.answers.get(need.key) or ""
            if value and value != need.default:
                found[(*section, *need.key.split("."))] = f"${{{need.env}}}" if need.env else value
        if self.owners:
            found[*section, "owners"] = list(self.owners)
        return found

    def secrets(self) -> dict[str, str]:
        """By the names of their variables."""
        return {need.env: self.answers[need.key] for need in self.kind.needs if need.env and self.answers.get(need.key)}


_HOW: Final = "write the section by hand"


def write_section(section: ChannelSection, loaded: Loaded, env: Mapping[str, str]) -> Loaded:
    """Write the section into the file in use, or into a new one in the state's folder; the configuration that then holds.

    Nothing is written unless the whole is valid. Raises ConfigError with every problem, also for a file that is no JSON.
    """
    path = loaded.source or loaded.home / FILE_NAMES[0]
    if path.suffix.lower() == ".toml":
        raise _problem(path, f"is TOML, which is not changed here: {_HOW}")
    make_home(loaded.home)
    try:
        text = with_values(path.read_text(encoding="utf-8-sig") if path.exists() else "", section.changes())
    except (NotJson, UnicodeDecodeError) as error:
        raise _problem(path, f"{error}; {_HOW}") from None
    except OSError as error:
        raise _problem(path, f"can't be read ({error.strerror})") from None
    new = path.with_name(f".{path.name}.new{path.suffix}")
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o600
    try:
        write_new(new, text.encode(), mode)
        load_config(new, {**section.secrets(), **env})
        for name, value in section.secrets().items():
            keep_secret(loaded.home, name, value)
        new.replace(path)
    except OSError as error:
        raise _problem(path, f"can't be written ({error.strerror})") from None
    finally:
        new.unlink(missing_ok=True)
    return load_config(path, env)


def _problem(path: Path, text: str) -> ConfigError:
    return ConfigError(ConfigProblem(path=(), text=text, origin=str(path)))
