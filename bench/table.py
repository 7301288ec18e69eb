"""The figures as a table: for the terminal, for the document, for programs."""

import json
from collections.abc import Sequence
from pathlib import Path

from bench.figures import Figure

_BEGIN = "<!-- measured: written by `python -m bench --write`, text outside the markers stays -->"
_END = "<!-- end of measured -->"
_HEADINGS = ("figure", "measured", "lowest–highest", "target", "", "note")


class MarkersMissing(Exception):
    """The document lacks the two marker lines around the table."""


def as_text(figures: Sequence[Figure]) -> str:
    """Columns aligned by spaces."""
    rows = [_HEADINGS, *map(_cells, figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)


def as_markdown(figures: Sequence[Figure], machine: str) -> str:
    lines = [machine, "", f"| {' | '.join(_HEADINGS)} |", f"|{'---|' * len(_HEADINGS)}"]
    lines += [f"| {' | '.join(cell.replace('|', '/') for cell in _cells(item))} |" for item in figures]
    return "\n".join(lines)


def as_json(figures: Sequence[Figure], machine: str) -> str:
    rows = [
        {
            "name": item.name,
            "unit": item.unit,
            "median": item.value,
            "samples": item.samples,
            "target": None if item.target is None else {item.target.sense: item.target.limit},
            "verdict": item.verdict,
            "errors": item.errors,
            "note": item.note,
        }
        for item in figures
    ]
    return json.dumps({"machine": machine, "figures": rows}, indent=1, ensure_ascii=False)


def write_into(path: Path, figures: Sequence[Figure], machine: str) -> None:
    """The table of the figures, by `write_between`."""
    write_between(path, as_markdown(figures, machine))


def write_between(path: Path, words: str) -> None:
    """Replace the text between the markers of the document. Raises MarkersMissing."""
    text = path.read_text(encoding="utf-8")
    before, begin, rest = text.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise MarkersMissing(f"{path} holds no '{_BEGIN}' with '{_END}' after it")
    path.write_text(f"{before}{begin}\n\n{words}\n\n{end}{after}", encoding="utf-8")


def _cells(item: Figure) -> tuple[str, ...]:
    target = "" if item.target is None else f"{'≤' if item.target.sense == 'at most' else '≥'} {item.target.limit:g}"
    spread = f"{_number(min(item.samples))}–{_number(max(item.samples))}" if len(item.samples) > 1 else ""
    return (item.name, f"{_number(item.value)} {item.unit}", spread, target, item.verdict, item.note)


def _number(value: float) -> str:
    """Three significant digits."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
