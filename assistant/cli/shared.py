"""What commands share: options, opening the store, lists, and printing text safely."""

import asyncio
import logging
import os
import re
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Final, Literal, TypeVar

import orjson
import typer

from assistant.api.body.spool import Spool
from assistant.app.opening import opened_store
from assistant.config import Loaded, load_config
from assistant.contracts.errors import InvalidRequest
from assistant.contracts.messages import Json
from assistant.contracts.people import PersonNotFound
from assistant.contracts.turns import Upload
from assistant.contracts.util import display_name, expand_home, replace_surrogates
from assistant.store.store import Store

T = TypeVar("T")
INTERRUPTED: Final = 130
"""The exit code after Ctrl-C, as in shells."""
_PAGE = 1000


def with_store(loaded: Loaded, use: Callable[[Store], Awaitable[T]]) -> T:
    async def run() -> T:
        async with opened_store(loaded) as store:
            return await use(store)

    return asyncio.run(run())


async def owner_of(store: Store, wanted: str) -> str:
    """Whose space is meant: a person by id, name or identity, or a group's chat. Raises PersonNotFound, PersonConflict."""
    wanted = replace_surrogates(wanted.strip())
    try:
        return (await store.people.find(wanted)).id
    except PersonNotFound:
        if ":" not in wanted:
            raise
        return wanted  # a group's


async def pages(page: Callable[[int, T | None], Awaitable[Sequence[T]]], limit: int = sys.maxsize) -> list[T]:
    """Up to `limit` records. `page`: (how many, the last one read) → the next ones."""
    found: list[T] = []
    while len(found) < limit and (more := await page(min(_PAGE, limit - len(found)), found[-1] if found else None)):
        found += more
    return found


_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Control characters except tab and newline, and bidirectional overrides: they could steer a terminal or reverse text."""


def harmless(text: str) -> str:
    """The text without control characters that a terminal would obey: an answer may repeat a hostile document."""
    return _CONTROLS.sub("\ufffd", text)


def copy_in(file: Path, spool: Spool) -> Upload:
    """A copy, because the reader of an upload may remove it. Blocks."""
    spooled = spool.open(display_name(file.name, "file"), None)
    with file.open("rb") as source:
        while data := source.read(1024 * 1024):
            spooled.write(data)
    return spooled.finish()


def print_list(
    found: Sequence[T], heads: Sequence[str], row: Callable[[T], Sequence[str]], *, as_json: bool = False, empty: str = ""
) -> None:
    """A table with a row for each record, or with `as_json` a JSON object a line. `empty`: as in `print_table`."""
    if not as_json:
        print_table(heads, [row(each) for each in found], empty)
        return
    for each in found:
        typer.echo(orjson.dumps(each, default=sorted))  # sets, in order


def print_table(heads: Sequence[str], rows: Sequence[Sequence[str]], empty: str = "") -> None:
    """A head that ends with ">" stands over figures, on the right. Cells are made harmless, and one line each. `empty`: what a terminal gets in
    place of a table without rows."""
    if not rows and empty and sys.stdout.isatty():
        typer.echo(empty)
        return
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


def moment(at: datetime) -> str:
    """A time to the minute."""
    return f"{at:%Y-%m-%d %H:%M}"


_DAYS = re.compile(r"(\d{1,4})d")


def read_day(text: str | None) -> date | None:
    """A day: 2026-11-29, or 7d for seven days ago, of UTC. Raises InvalidRequest."""
    if text is None:
        return None
    if ago := _DAYS.fullmatch(text.strip()):
        return (datetime.now(UTC) - timedelta(days=int(ago[1]))).date()
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        raise InvalidRequest("A day is written 2026-11-29, or 7d for seven days ago.") from None


ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        metavar="FILE",
        help="The configuration file. Default: NANOBOT_CONFIG, else ./config.json, else ~/.nanobot/config.json.",
    ),
]
WorkspaceOption = Annotated[
    Path | None, typer.Option("--workspace", "-w", metavar="FOLDER", help="The folder that the assistant may read and write.")
]
ModelOption = Annotated[
    str | None,
    typer.Option("--model", "-m", metavar="NAME", help='The model, such as "openai/gpt-5-mini". Default: the first within reach.'),
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object a line, for programs.")]
LimitOption = Annotated[int, typer.Option("--limit", metavar="NUMBER", min=1, max=100_000, help="How many, the latest first.")]
LogLevelOption = Annotated[
    Literal["debug", "info", "warning", "error"] | None,
    typer.Option(metavar="LEVEL", help="debug, info, warning or error.  [default: info]", show_default=False),
]


def configured(
    file: Path | None, *, workspace: Path | None = None, model: str | None = None, more: Mapping[str, Json] | None = None
) -> Loaded:
    """The configuration under the command's options; `more`: further keys, None where not given. Raises ConfigError."""
    overrides: dict[str, Json] = {key: value for key, value in (more or {}).items() if value is not None}
    if workspace is not None:
        overrides["agents.defaults.workspace"] = str(expand_home(workspace, start=Path.cwd()))
    if model is not None:
        overrides |= {"agents.defaults.model": model, "agents.defaults.modelPreset": None}
    return load_config(file, os.environ, overrides)


def begin_logging(loaded: Loaded) -> None:
    """Log to stderr, at the configured level."""
    logging.basicConfig(level=loaded.config.log.level.upper(), format="%(asctime)s %(levelname)s %(name)s %(message)s")
