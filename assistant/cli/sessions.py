"""`nanobot sessions list | show | export | delete`."""

from collections.abc import Awaitable, Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, TypeVar

import orjson
import typer

from assistant.api.session_keys import known_key
from assistant.cli.display import harmless
from assistant.cli.export import as_json, as_markdown, moment
from assistant.cli.kept import with_store
from assistant.cli.options import ConfigFile, configured
from assistant.cli.tables import print_table
from assistant.config import Loaded
from assistant.contracts.errors import SessionNotFound
from assistant.contracts.sessions import Session, SessionStore, StoredMessage

T = TypeVar("T")
_PAGE = 1000

commands = typer.Typer()
_group = typer.Typer(name="sessions", help="The conversations that are kept.", no_args_is_help=True)
commands.add_typer(_group)

Key = Annotated[str, typer.Argument(metavar="SESSION", help="Its key, as listed, or the session_id that was sent to the API.")]


class Format(StrEnum):
    json = "json"
    markdown = "markdown"


@_group.command("list")
def list_sessions(
    limit: Annotated[int, typer.Option(metavar="NUMBER", min=1, max=100_000, help="How many, the latest first.")] = 50,
    as_json_lines: Annotated[bool, typer.Option("--json", help="One JSON object a line, for programs.")] = False,
    config: ConfigFile = None,
) -> None:
    """List sessions, the latest first.

    Example: nanobot sessions list --limit 10
    """
    found = _with_sessions(configured(config), lambda sessions: _latest(sessions, limit))
    if as_json_lines:
        for session in found:
            typer.echo(orjson.dumps(session))
        return
    rows = [(session.key, str(session.messages), f"{_tokens(session):,}", moment(session.updated)) for session in found]
    print_table(("SESSION", "MESSAGES>", "TOKENS>", "LAST (UTC)"), rows)


@_group.command()
def show(session: Key, config: ConfigFile = None) -> None:
    """Print what was said in a session.

    Example: nanobot sessions show api:default
    """
    typer.echo(harmless(as_markdown(*_read(configured(config), session))), nl=False)


@_group.command()
def export(
    session: Key,
    form: Annotated[
        Format, typer.Option("--format", metavar="FORMAT", help="json (everything) or markdown (what was said).")
    ] = Format.json,
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write to this new file.")] = None,
    config: ConfigFile = None,
) -> None:
    """Write a whole session to a file or the terminal.

    Example: nanobot sessions export api:default --format markdown -o talk.md
    """
    found, messages = _read(configured(config), session)
    text = as_json(found, messages) if form is Format.json else as_markdown(found, messages)
    if output is None:
        typer.echo(text, nl=False)
        return
    try:
        with output.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise typer.BadParameter(f"{output} is there already; choose another name.", param_hint="--output") from None
    except OSError as error:
        raise typer.BadParameter(f"{output} can't be written ({error.strerror}).", param_hint="--output") from error


@_group.command()
def delete(
    session: Key,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    config: ConfigFile = None,
) -> None:
    """Delete a session for good.

    With its messages, and the attachments that no other session holds. This can't be undone.

    Example: nanobot sessions delete api:old-talk
    """
    loaded = configured(config)
    found = _with_sessions(loaded, lambda sessions: _find(sessions, session))
    if not yes:
        typer.confirm(f"Delete {harmless(found.key)} with its {found.messages} messages?", abort=True)
    if not _with_sessions(loaded, lambda sessions: sessions.delete(found.owner, found.key)):
        raise SessionNotFound
    typer.echo(f"{harmless(found.key)} is deleted")


def _tokens(session: Session) -> int:
    return session.usage.prompt_tokens + session.usage.completion_tokens


def _read(loaded: Loaded, key: str) -> tuple[Session, list[StoredMessage]]:
    async def read(sessions: SessionStore) -> tuple[Session, list[StoredMessage]]:
        found = await _find(sessions, key)
        messages: list[StoredMessage] = []
        while page := await sessions.messages(found.owner, found.key, after=messages[-1].seq if messages else 0, limit=_PAGE):
            messages += page
        return found, messages

    return _with_sessions(loaded, read)


async def _find(sessions: SessionStore, key: str) -> Session:
    found = await sessions.get(None, key) or await sessions.get(None, known_key(key))
    if found is None:
        raise SessionNotFound(f'There is no session "{harmless(key)}". nanobot sessions list shows those there are.')
    return found


async def _latest(sessions: SessionStore, limit: int) -> list[Session]:
    found: list[Session] = []
    while len(found) < limit:
        page = await sessions.list(None, limit=min(_PAGE, limit - len(found)), before=found[-1].key if found else None)
        if not page:
            break
        found += page
    return found


def _with_sessions(loaded: Loaded, use: Callable[[SessionStore], Awaitable[T]]) -> T:
    return with_store(loaded, lambda store: use(store.sessions))
