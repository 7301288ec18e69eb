"""docs/tools.md: what the model can do, each tool with its arguments, and what the gate says to its calls."""

import pkgutil
from collections.abc import Iterator
from importlib import import_module
from json import dumps
from typing import Any, Final

import tools
from assistant.access.gate import CASES
from assistant.contracts.gate import ActionsByCall, actions_of, brought_by
from assistant.contracts.tools import Tool
from docs.made.examples import EXAMPLES
from docs.made.markdown import kind_of, lines_of, page, table
from tools.catalog import own_kinds

_ABOUT: Final = """
What the model can do besides talking, in the order in which it reads them. `agents.<id>.tools` in the [configuration](configuration.md) takes
some of them only, and `nanobot permissions try NAME` says what would be decided about a call ([permissions.md](permissions.md)). MCP servers
bring more ([mcp.md](mcp.md)), and so do installed packages ([CONTRIBUTING.md](../CONTRIBUTING.md#add-a-tool)). An argument with `?` may be
left out.
"""
_GATE: Final = """
A call that does more than one of these gets the strictest answer. Lines of your own come first
([permissions.md](permissions.md#your-own-lines)).
"""
_BRINGS: Final = {
    "system": "nanobot's own words",
    "file": "words of a file, or of an earlier conversation",
    "web": "words of a web page",
    "tool": "words of a program",
}


def tools_page() -> str:
    found = tool_classes()
    kinds = [(kind, found[kind.name]) for kind in own_kinds()]
    overview = [(f"[`{kind.name}`](#{kind.name})", _does(tool), _first(tool.description)) for kind, tool in kinds]
    gate = [(action, case.before, case.after) for action, case in CASES.items()]
    return page(
        "# Tools",
        lines_of(_ABOUT),
        table(("tool", "its calls", "what it does"), overview),
        "## What the gate says",
        lines_of(_GATE),
        table(("a call that", "without words of others", "once they were read"), gate),
        *[part for kind, tool in kinds for part in _tool(kind.name, tool, kind.needs_sandbox)],
    )


def tool_classes() -> dict[str, Any]:
    """The class of each tool of this package, by the tool's name."""
    modules = [import_module(module.name) for module in pkgutil.walk_packages(tools.__path__, "tools.")]
    classes = [each for module in modules for each in vars(module).values() if isinstance(each, type)]
    return {name: each for each in classes if isinstance(name := getattr(each, "name", None), str) and hasattr(each, "params")}


def _tool(name: str, tool: Any, needs_sandbox: bool) -> Iterator[str]:
    example = EXAMPLES[name]
    yield f"## {name}"
    yield tool.description
    fields = tool.params.model_json_schema()
    needed = fields.get("required", ())
    rows = [
        (f"`{field}`" + ("" if field in needed else "?"), kind_of(schema, None), schema.get("description", ""))
        for field, schema in fields.get("properties", {}).items()
    ]
    if rows:
        yield table(("argument", "type", "meaning"), rows)
    yield f'Say: "{example.said}" The model calls:\n\n```json\n{dumps({name: example.arguments}, ensure_ascii=False)}\n```'
    facts = [f"Its calls: {_does(tool)}.", f"They bring: {_BRINGS[brought_by(tool)]}.", f"Time: {tool.timeout:g} s."]
    yield " ".join(facts + ["Offered where there is a [sandbox](sandbox.md)."] * needs_sandbox)


def _does(tool: type[Tool[Any]]) -> str:
    words = ", ".join(sorted(actions_of(tool)))  # type: ignore[arg-type] # of the class, as of an instance
    return f"{words}, or more, by their arguments" if isinstance(tool, ActionsByCall) else words


def _first(text: str) -> str:
    return text.partition(". ")[0].rstrip(".") + "."
