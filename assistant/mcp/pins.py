"""What is pinned of a tool, how a change is shown, and what its name is for the model."""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Any, Final

import orjson

from assistant.contracts.messages import Json
from assistant.store.mcp import KnownServer, RemoteTool

MOST_TOOLS: Final = 1_000
"""Of one server."""
MOST_DESCRIPTION: Final = 1_000
"""Characters that the model is shown."""
_MOST_SCHEMA: Final = 64_000
"""Bytes of a tool's schema; one with more is left out."""
_NO_NAME: Final = re.compile(r"[^a-zA-Z0-9_-]")
_LONGEST: Final = 64


def pinned(name: str, description: str, parameters: Mapping[str, Json], annotations: Mapping[str, Any] | None) -> RemoteTool | None:
    """A tool as it is kept. None: its schema is too large, or can't be stored."""
    about: dict[str, Any] = {"name": name, "description": description, "parameters": parameters, "annotations": annotations or {}}
    try:
        written = orjson.dumps(about, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # a number of more than 64 bits, a lone surrogate
        return None
    if len(written) > _MOST_SCHEMA + 4 * len(description) or len(name) > 200 or len(description) > _MOST_SCHEMA:
        return None
    return RemoteTool(
        name=name,
        description=description,
        parameters=orjson.loads(written)["parameters"],
        reads_only=about["annotations"].get("readOnlyHint") is True,
        digest=sha256(written).hexdigest(),
    )


def model_names(tools: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """(server, tool) → the name for the model: `mcp_<server>_<tool>`, within [a-zA-Z0-9_-]{1,64}. One that had to be changed, or is taken by one
    before it, ends in a hash, so that it is the same at every start."""
    names: dict[tuple[str, str], str] = {}
    taken: set[str] = set()
    for server, tool in tools:
        plain = f"mcp_{server}_{tool}"
        name = _NO_NAME.sub("_", plain)
        if name != plain or len(name) > _LONGEST or name in taken:
            ending = sha256(f"{server}\0{tool}".encode()).hexdigest()[:8]
            name = f"{name[: _LONGEST - 9]}_{ending}"
        taken.add(name)
        names[server, tool] = name
    return names


def differences(known: KnownServer) -> Sequence[str]:
    """What an approval would turn on, line by line: new tools whole, changed ones as a diff."""
    lines: list[str] = []
    for tool in known.off:
        was = known.approved.get(tool.name)
        lines.append(f"{'changed' if was else 'new'}: {tool.name}")
        before, after = _lines(was) if was else [], _lines(tool)
        shown = [line for line in difflib.unified_diff(before, after, n=1, lineterm="") if line[:3] not in ("---", "+++")]
        lines += [f"  {line}" for line in shown if not line.startswith("@@")]
    return lines


def _lines(tool: RemoteTool) -> list[str]:
    schema = orjson.dumps(tool.parameters, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS).decode()
    about = "only reads, it says" if tool.reads_only else "may change things"
    return [about, *tool.description.splitlines(), *schema.splitlines()]
