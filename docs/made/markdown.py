"""Markdown, as the pages that are made are written in it."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

NOTE: Final = "<!-- written by python -m docs.made: change the code, not this page -->"
_LIMITS: Final = {
    "minimum": "from {}",
    "exclusiveMinimum": "more than {}",
    "maximum": "to {}",
    "exclusiveMaximum": "less than {}",
    "maxLength": "{} characters at most",
    "maxItems": "{} at most",
}


def page(*parts: str) -> str:
    return "\n\n".join([parts[0], NOTE, *parts[1:]]) + "\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *[[cell(each) for each in row] for row in rows]]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def cell(text: str) -> str:
    """In one line, with no bar that would end the cell."""
    return " ".join(text.split()).replace("|", "\\|")


def lines_of(text: str) -> str:
    """A docstring's paragraphs, each in one line."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.strip().split("\n\n"))


def kind_of(schema: dict[str, Any], page: str | None = "") -> str:
    """A JSON Schema in a few words; what has a name is a link to its heading on `page` (empty: this one;
    None: there is no such heading)."""
    if reference := schema.get("$ref"):
        name = str(reference).rpartition("/")[2]
        return "object" if page is None else f"[{name}]({page}#{name.lower()})"
    for choice in ("anyOf", "oneOf"):
        if choice in schema:
            return " or ".join(dict.fromkeys(kind_of(option, page) for option in schema[choice]))
    if "const" in schema or "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema.get("enum", [schema.get("const")]))
    if schema.get("type") == "array":
        return f"list of {kind_of(schema.get('items', {}), page)}"
    kinds: str | list[str] = schema.get("type", "anything")
    return ", ".join([kinds if isinstance(kinds, str) else " or ".join(kinds), *_limits(schema)])


def _limits(schema: dict[str, Any]) -> Iterable[str]:
    for key, words in _LIMITS.items():
        if key in schema:
            yield words.format(schema[key])
