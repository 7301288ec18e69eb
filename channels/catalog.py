"""The kinds of channels: those of this folder, and those of installed packages (entry points `nanobot.channels`).

A configuration always has the sections of `ALWAYS`; those of `OTHERS`, and of packages, are there where it names them: nothing of a channel is
imported at the start that the configuration does not mention.
"""

from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import entry_points
from typing import Final

from assistant.contracts.channels import ChannelKind

ALWAYS: Final = ("telegram", "discord", "webhook", "apprise")
OTHERS: Final = (
    "dingtalk",
    "email",
    "feishu",
    "googlechat",
    "irc",
    "line",
    "matrix",
    "mattermost",
    "mqtt",
    "msteams",
    "ntfy",
    "signal",
    "slack",
    "sms",
    "whatsapp",
    "xmpp",
    "zulip",
)
"""Adding a channel: a folder, and its name here."""
OWN: Final = (*ALWAYS, *OTHERS)


def channel_kind(name: str) -> ChannelKind | None:
    """The kind of this name; None: there is none. Imports no SDK. Raises whatever importing a package raises."""
    if name in OWN:
        kind: ChannelKind = import_module(f"channels.{name}.kind").KIND
        return kind
    found = entry_points(group="nanobot.channels", name=name)
    return next(iter(found)).load() if found else None


def installed_names() -> Sequence[str]:
    """The names of the channels that installed packages offer. Scans the installed packages: some milliseconds."""
    return sorted({found.name for found in entry_points(group="nanobot.channels")} - set(OWN))
