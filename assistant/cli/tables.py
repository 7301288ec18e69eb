"""Tables: as wide as they are for programs and pipes, fitted to the window where somebody looks."""

import sys
from collections.abc import Sequence

import typer

from assistant.cli.display import harmless


def print_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A head that ends with ">" stands over figures, on the right. Cells are made harmless, and one line each."""
    right = [head.endswith(">") for head in heads]
    heads = [head.removesuffix(">") for head in heads]
    cells = [[" ".join(harmless(cell).split()) for cell in row] for row in rows]
    if sys.stdout.isatty():
        _print_fitted(heads, cells, right)
        return
    widths = [max(len(row[column]) for row in (heads, *cells)) for column in range(len(heads))]
    for row in (heads, *cells):
        columns = [cell.rjust(width) if to_right else cell.ljust(width) for cell, width, to_right in zip(row, widths, right, strict=True)]
        typer.echo("  ".join(columns).rstrip())


def _print_fitted(heads: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[bool]) -> None:
    from rich.console import Console  # noqa: PLC0415 - a tenth of a second that a pipe need not wait
    from rich.table import Table  # noqa: PLC0415 - as above
    from rich.text import Text  # noqa: PLC0415 - as above

    table = Table(box=None, header_style="bold", pad_edge=False)
    for head, to_right in zip(heads, right, strict=True):
        table.add_column(head, justify="right" if to_right else "left", overflow="fold")
    for row in rows:
        table.add_row(*[Text(cell) for cell in row])
    Console().print(table)
