"""Tools that installed packages give, by the entry-point group `nanobot.tools`: name → a callable of the workspace's folder, which returns a Tool."""

import logging
from collections.abc import Collection
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from assistant.contracts.errors import place_of
from assistant.contracts.tools import Tool

log = logging.getLogger(__name__)


def installed_tools(workspace: Path, taken: Collection[str]) -> list[Tool[Any]]:
    """Those that can be had, by name; one that fails, or has a name that is taken, is left out, and the log says so. Looking takes some
    milliseconds; importing, what the packages take. Blocks."""
    tools: dict[str, Tool[Any]] = {}
    for point in sorted(entry_points(group="nanobot.tools"), key=lambda point: point.name):
        try:
            tool: Tool[Any] = point.load()(workspace)
            name = tool.name
        except Exception as error:  # noqa: BLE001 - another package's fault must not keep the assistant from its work
            log.error("tool.not_loaded point=%s error=%s", point.name, place_of(error))  # noqa: TRY400 - no words
            continue
        if name in tools or name in taken:
            log.error("tool.name_taken point=%s tool=%s", point.name, name)
            continue
        tools[name] = tool
    return list(tools.values())
