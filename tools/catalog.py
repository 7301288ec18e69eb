"""The kinds of tools: those of this folder, and those of installed packages (entry points `nanobot.tools`)."""

from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import entry_points
from typing import Final

from assistant.contracts.tools import ToolKind

MODULES: Final = ("attachments", "files", "run", "web", "message", "memory", "history", "schedule", "skills", "delegate")
"""The modules of this folder with a `KINDS`. Adding a tool: a module and its name here."""


def own_kinds() -> Sequence[ToolKind]:
    """The tools of this folder, in the order in which the model reads them."""
    return [kind for module in MODULES for kind in import_module(f"tools.{module}").KINDS]


def installed_names() -> Sequence[str]:
    """The names of the tools that installed packages offer. Scans the installed packages: some milliseconds."""
    return sorted({point.name for point in entry_points(group="nanobot.tools")})


def installed_kind(name: str) -> ToolKind:
    """The kind under this name in an installed package. Raises ValueError if it is no ToolKind of that name, and what the import raises."""
    kind = next(iter(entry_points(group="nanobot.tools", name=name))).load()
    if not isinstance(kind, ToolKind) or kind.name != name:
        raise ValueError(f"the entry point {name} of nanobot.tools must be a ToolKind with this name")
    return kind
