"""A channel's section of the configuration file, as `nanobot channels add` and /v1/channels write it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from assistant.config.changes import ConfigChanges
from assistant.config.writing import ConfigPath
from assistant.contracts.channels import ChannelKind, Need
from assistant.contracts.messages import Json
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

    def changes(self) -> ConfigChanges:
        """What is to be written. A secret is `${NAME}` in the file."""
        section = ("channels", self.kind.name)
        found: dict[ConfigPath, Json] = {(*section, "enabled"): True}
        for need in self.kind.needs:
            value = self.answers.get(need.key) or ""
            if value and value != need.default:
                found[(*section, *need.key.split("."))] = f"${{{need.env}}}" if need.env else value
        if self.owners:
            found[*section, "owners"] = list(self.owners)
        secrets = {need.env: self.answers[need.key] for need in self.kind.needs if need.env and self.answers.get(need.key)}
        return ConfigChanges(found, secrets)
