"""Rows as a Markdown table."""

from collections.abc import Iterable, Sequence


def cell(text: str) -> str:
    """A cell's text on one line, with its line breaks and bars written so that the table survives them."""
    lines = [line.strip() for line in text.replace("\r", "\n").split("\n")]
    return "<br>".join(line for line in lines if line).replace("|", "\\|")


def row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def table(rows: Sequence[Sequence[str]]) -> str:
    """A table of raw texts, the first row as its head. Rows may differ in length; empty ones and empty columns at the end are dropped."""
    kept = [[cell(text) for text in line] for line in rows]
    kept = [line for line in kept if any(line)]
    width = max((max(index + 1 for index, text in enumerate(line) if text) for line in kept), default=0)
    if not width:
        return ""
    full = [[*line[:width], *[""] * (width - len(line))] for line in kept]
    return "\n".join([row(full[0]), row(["---"] * width), *(row(line) for line in full[1:])])
