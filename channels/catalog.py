"""The kinds of channels there are: the four of this house, and those that installed packages give (entry points `nanobot.channels`)."""

from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import entry_points
from typing import Final

from assistant.contracts.channels import ChannelKind

OWN: Final = ("telegram", "discord", "webhook", "apprise")


def channel_kind(name: str) -> ChannelKind | None:
    """The kind by its name; None: there is none. Imports no SDK. Raises whatever the import of somebody else's package raises."""
    if name in OWN:
        kind: ChannelKind = import_module(f"channels.{name}.kind").KIND
        return kind
    found = entry_points(group="nanobot.channels", name=name)
    return next(iter(found)).load() if found else None


def installed_names() -> Sequence[str]:
    """The names of the channels that installed packages give. Looks through all of them: some milliseconds."""
    return sorted({found.name for found in entry_points(group="nanobot.channels")} - set(OWN))
