"""`nanobot import`: what another assistant has, planned, shown and taken over."""

import asyncio
import json
import sys
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Annotated, Final, cast

import typer

from assistant.app.opening import opened_store
from assistant.cli.import_writing import Importer, ImportPlan
from assistant.cli.program import fail
from assistant.cli.shared import INTERRUPTED, ConfigOption, configured, harmless, owner_of, print_table
from assistant.config import Loaded
from assistant.config.folders import make_workspace
from assistant.config.writing import ConfigPath
from assistant.contracts.messages import Json
from assistant.contracts.people import OWNER_ID
from assistant.contracts.util import expand_home
from assistant.documents.reader import ChildReader
from assistant.importing.source import CannotImport, Source
from assistant.turns.intake import CachingReader
from tools.workspace import folder_of

commands = typer.Typer()
_FORMATS: Final = {
    "chatgpt": ("chatgpt", "ChatGptExport"),
    "claude": ("claude", "ClaudeExport"),
    "nanobot": ("nanobot", "NanobotFolder"),
    "openclaw": ("openclaw", "OpenClawFolder"),
}
_SHOWN: Final = 40


@commands.command("import")
def import_from(
    product: Annotated[str, typer.Argument(metavar="PRODUCT", help="chatgpt, claude, nanobot (nanobot-ai) or openclaw.")],
    path: Annotated[Path, typer.Argument(metavar="PATH", help="Its export or its folder: a zip file, a folder, conversations.json.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan, and write nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    person: Annotated[str, typer.Option("--for", metavar="PERSON", help="Whose it becomes: a person's id, name or identity.")] = OWNER_ID,
    config: ConfigOption = None,
) -> None:
    """Take over what another assistant has, after a plan with counts.

    Conversations become sessions with their times and files, which can be searched and resumed. What it remembered is written into a file
    of suggestions, of which nothing is remembered before nanobot memory import reads it. The source is only read. A second import brings what is
    new since the first.

    Example: nanobot import chatgpt ~/Downloads/export.zip --dry-run
    """
    loaded = configured(config)
    try:
        source = _opened(product, expand_home(path))
    except CannotImport as error:
        fail(str(error))
    try:
        asyncio.run(_run(loaded, source, person, dry_run=dry_run, yes=yes))
    except (typer.Abort, KeyboardInterrupt):
        typer.echo("\nStopped. What was taken over stays; the next import goes on from there.", err=True)
        raise typer.Exit(INTERRUPTED) from None
    finally:
        source.close()


def _opened(product: str, path: Path) -> Source:
    """Raises CannotImport."""
    if product.lower() not in _FORMATS:
        raise CannotImport(f"{product} can't be imported; {', '.join(_FORMATS)} can")
    module, name = _FORMATS[product.lower()]
    make = cast("Callable[[Path], Source]", getattr(import_module(f"assistant.importing.{module}"), name))
    return make(path)


async def _run(loaded: Loaded, source: Source, person: str, *, dry_run: bool, yes: bool) -> None:
    reader = ChildReader(loaded.config.documents)
    try:
        async with opened_store(loaded) as store:
            owner = await owner_of(store, person) if person != OWNER_ID else OWNER_ID
            make_workspace(loaded.workspace)
            cached = CachingReader(reader, store.attachments)
            importer = Importer(loaded, store, source, owner, reader=cached, workspace=folder_of(loaded.workspace, owner))
            with _progress("looking through", None) as step:
                plan = await importer.plan(step)
            _show(plan, importer.changes().values, source)
            told = len(source.skips.lines)
            if dry_run or not plan.anything:
                typer.echo("Nothing was written." if dry_run else "Nothing is new.")
                return
            if not yes and not (sys.stdin.isatty() and typer.confirm("Take it over?", default=False)):
                fail("nothing was written: --yes takes it over")
            await _take_over(importer, plan)
            await store.history.finish()
            _tell_skipped(source, told)
    finally:
        await reader.close()


async def _take_over(importer: Importer, plan: ImportPlan) -> None:
    if plan.settings.new:
        typer.echo(f"{importer.write_settings()} settings written.")
    if plan.messages.new:
        with _progress("taking over", plan.sessions.found) as step:
            done = await importer.sessions(step)
        typer.echo(f"{done.new:,} messages in {done.found:,} sessions taken over.")
    if plan.files.new:
        typer.echo(f"{importer.files():,} files copied.")
    if plan.schedules.new:
        typer.echo(f"{await importer.schedules():,} schedules taken over, paused: nanobot schedule list --state paused, then resume ID.")
    if plan.memories.new:
        file, count = await importer.memories()
        typer.echo(f"{count:,} statements wait for your yes. Look through {file}, then: nanobot memory import {file}")


def _show(plan: ImportPlan, settings: Mapping[ConfigPath, Json], source: Source) -> None:
    print_table(("WHAT", "FOUND>", "NEW>"), plan.rows())
    for path, value in settings.items():
        typer.echo(f"  {harmless('.'.join(path))} = {harmless(json.dumps(value, ensure_ascii=False))[:120]}")
    if off := source.settings().off:
        typer.echo(f"Switched off until you say so (channels.NAME.enabled): {harmless(', '.join(off))}. Stop the other server first.")
    _tell_skipped(source)


def _tell_skipped(source: Source, told: int = 0) -> None:
    """What was left out, on stderr, from line `told` on."""
    lines = list(source.skips.lines)[told:]
    for line in lines[:_SHOWN]:
        typer.echo(f"  left out: {harmless(line)}", err=True)
    if more := max(0, len(lines) - _SHOWN) + (0 if told else source.skips.more):
        typer.echo(f"  left out: {more:,} more", err=True)


@contextmanager
def _progress(words: str, total: int | None) -> Generator[Callable[[], object]]:
    """A bar where a person looks on."""
    if not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console  # noqa: PLC0415 - a tenth of a second that a pipe need not wait
    from rich.progress import Progress  # noqa: PLC0415 - as above

    with Progress(console=Console(stderr=True), transient=True) as bars:
        bar = bars.add_task(words, total=total)
        yield lambda: bars.advance(bar)
