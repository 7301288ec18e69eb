"""`nanobot memory list | search | why | forget | export | import`."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import orjson
import typer
from pydantic import TypeAdapter, ValidationError

from assistant.cli.shared import (
    ConfigOption,
    JsonOption,
    LimitOption,
    configured,
    harmless,
    moment,
    owner_of,
    pages,
    print_list,
    with_store,
)
from assistant.contracts.memory import MOST_CHARS, ForgottenOnce, Memory, MemoryNotFound, Statement
from assistant.contracts.people import OWNER_ID
from assistant.contracts.util import utc_now
from assistant.memory.command import why as told
from assistant.memory.search import StoredSearch
from assistant.memory.service import MemoryService
from assistant.store.store import Store

commands = typer.Typer(name="memory", help="What is remembered of people.", no_args_is_help=True)

OwnerOption = Annotated[
    str,
    typer.Option(
        "--owner",
        metavar="OWNER",
        help="A person, or a group chat (telegram:-100…).  [default: you]",
        show_default=False,
    ),
]
WhichArgument = Annotated[str, typer.Argument(metavar="MEMORY", help="Its number, as listed, or its id.")]
_HEADS: Final = ("NO>", "KIND", "SAID (UTC)", "FROM", "MEMORY")
_NOTHING: Final = 'Nothing is remembered. Say "remember that …" to the assistant, or import a file (nanobot memory import).'
_LINES: Final = TypeAdapter(Statement)


@commands.command("list")
def list_memories(
    history: Annotated[bool, typer.Option("--all", help="With those that were superseded or have ended.")] = False,
    owner: OwnerOption = OWNER_ID,
    limit: LimitOption = 50,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """List what is remembered, the latest first.

    Example: nanobot memory list --limit 10
    """

    async def latest(store: Store) -> list[Memory]:
        whose = await owner_of(store, owner)
        return await pages(
            lambda count, last: store.memories.list(whose, history=history, limit=count, before=last.id if last else None), limit
        )

    print_list(with_store(configured(config), latest), _HEADS, _row, as_json=as_json, empty=_NOTHING)


@commands.command()
def search(
    words: Annotated[list[str], typer.Argument(metavar="WORDS", help="What to look for.")],
    owner: OwnerOption = OWNER_ID,
    limit: LimitOption = 20,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Find what is remembered about something, the best first.

    Example: nanobot memory search phone number
    """

    async def find(store: Store) -> list[Memory]:
        whose = await owner_of(store, owner)
        search = StoredSearch(store.database, store.history, store.people)
        return list(await MemoryService(store, search).find(whose, " ".join(words), limit))

    print_list(with_store(configured(config), find), _HEADS, _row, as_json=as_json, empty="Nothing like that is remembered.")


@commands.command()
def why(which: WhichArgument, owner: OwnerOption = OWNER_ID, config: ConfigOption = None) -> None:
    """Show where a memory came from: the message, its session, the day.

    Example: nanobot memory why 12
    """

    async def tell(store: Store) -> str:
        return await told(store, await store.memories.get(await owner_of(store, owner), which))

    typer.echo(harmless(with_store(configured(config), tell)))


@commands.command()
def forget(
    which: WhichArgument,
    everywhere: Annotated[bool, typer.Option("--everywhere", help="Also black out its words in what was said.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    owner: OwnerOption = OWNER_ID,
    config: ConfigOption = None,
) -> None:
    """Forget a memory for good, with its older versions.

    All that was made of it goes, too. It is not learned again, and import does not bring it back. This can't be undone.

    Example: nanobot memory forget 12 --everywhere
    """
    loaded = configured(config)

    async def look(store: Store) -> tuple[str, Memory]:
        whose = await owner_of(store, owner)
        return whose, await store.memories.get(whose, which)

    whose, found = with_store(loaded, look)
    if not yes:
        typer.confirm(f'Forget "{harmless(found.text)}"{" everywhere" if everywhere else ""}?', abort=True)
    gone = with_store(loaded, lambda store: store.forgetting.forget(whose, [found.id], everywhere=everywhere))
    if not gone:
        raise MemoryNotFound
    typer.echo(f"Memory {found.number} is forgotten{f', with {len(gone) - 1} older' if len(gone) > 1 else ''}")


@commands.command()
def export(
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write to this new file.")] = None,
    owner: OwnerOption = OWNER_ID,
    config: ConfigOption = None,
) -> None:
    """Write all that is remembered as JSON, one memory a line.

    nanobot memory import reads it.

    Example: nanobot memory export -o memories.jsonl
    """

    async def everything(store: Store) -> list[Memory]:
        whose = await owner_of(store, owner)
        return await pages(lambda count, last: store.memories.list(whose, history=True, limit=count, before=last.id if last else None))

    lines = "".join(f"{orjson.dumps(each).decode()}\n" for each in reversed(with_store(configured(config), everything)))
    if output is None:
        typer.echo(lines, nl=False)
        return
    try:
        with output.open("x", encoding="utf-8") as file:
            file.write(lines)
    except FileExistsError:
        raise typer.BadParameter(f"{output} is there already; choose another name.", param_hint="--output") from None
    except OSError as error:
        raise typer.BadParameter(f"{output} can't be written ({error.strerror}).", param_hint="--output") from error


@commands.command("import")
def import_memories(
    file: Annotated[Path, typer.Argument(metavar="FILE", help='JSON, one memory a line: {"text": "…"}; "-" reads standard input.')],
    owner: OwnerOption = OWNER_ID,
    config: ConfigOption = None,
) -> None:
    """Remember what a file holds. What is remembered already stays as it is; what was forgotten stays forgotten.

    Example: nanobot memory import memories.jsonl
    """
    try:
        lines = (sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")).splitlines()
    except (OSError, UnicodeDecodeError):
        raise typer.BadParameter(f"{file} can't be read as text.", param_hint="FILE") from None
    statements = [_read(number, line) for number, line in enumerate(lines, 1) if line.strip()]

    async def keep(store: Store) -> int:
        forgotten, whose = 0, await owner_of(store, owner)
        for statement, seen in statements:
            try:
                await store.memories.add(whose, statement, explicit=False, seen_at=seen)
            except ForgottenOnce:
                forgotten += 1
        return forgotten

    forgotten = with_store(configured(config), keep)
    left_out = f"; {forgotten} left out, which were forgotten" if forgotten else ""
    typer.echo(f"{len(statements) - forgotten} remembered{left_out}")


def _read(number: int, line: str) -> tuple[Statement, datetime]:
    try:
        value: dict[str, Any] = orjson.loads(line)
        names = ("text", "kind", "about", "provenance", "valid_until", "learned")
        statement = _LINES.validate_python({name: value[name] for name in names if value.get(name) is not None})
        seen = datetime.fromisoformat(value["seen_at"]) if value.get("seen_at") else utc_now()
        if not statement.text.strip() or len(statement.text) > MOST_CHARS:
            raise ValueError("empty or too long")
    except (ValueError, TypeError, AttributeError, ValidationError):
        raise typer.BadParameter(f'line {number} is no memory: it must be JSON with a "text".', param_hint="FILE") from None
    return statement, seen if seen.tzinfo else seen.replace(tzinfo=UTC)


def _row(each: Memory) -> tuple[str, ...]:
    whence = "learned" if each.learned else each.provenance
    text = f"{each.text} (superseded)" if each.superseded_by else each.text
    return str(each.number), each.kind, moment(each.seen_at), whence, text
