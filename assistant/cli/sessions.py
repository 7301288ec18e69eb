"""`nanobot sessions list | show | export | delete`."""

from collections.abc import Awaitable, Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, TypeVar

import orjson
import typer

from assistant.api.chat.route import known_key
from assistant.cli.shared import ConfigOption, as_json, as_markdown, configured, harmless, moment, print_table, with_store
from assistant.config import Loaded
from assistant.contracts.errors import SessionNotFound
from assistant.contracts.sessions import Session, SessionStore, StoredMessage

T = TypeVar("T")
_PAGE = 1000

commands = typer.Typer()
_group = typer.Typer(name="sessions", help="The conversations that are kept.", no_args_is_help=True)
commands.add_typer(_group)

SessionArgument = Annotated[str, typer.Argument(metavar="SESSION", help="Its key, as listed, or the session_id that was sent to the API.")]


class ExportFormat(StrEnum):
    json = "json"
    markdown = "markdown"


@_group.command("list")
def list_sessions(
    limit: Annotated[int, typer.Option(metavar="NUMBER", min=1, max=100_000, help="How many, the latest first.")] = 50,
    as_json_lines: Annotated[bool, typer.Option("--json", help="One JSON object a line, for programs.")] = False,
    config: ConfigOption = None,
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
def show(session: SessionArgument, config: ConfigOption = None) -> None:
    """Print what was said in a session.

    Example: nanobot sessions show api:default
    """
    typer.echo(harmless(as_markdown(*_read(configured(config), session))), nl=False)


@_group.command()
def export(
    session: SessionArgument,
    form: Annotated[
        ExportFormat, typer.Option("--format", metavar="FORMAT", help="json (everything) or markdown (what was said).")
    ] = ExportFormat.json,
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write to this new file.")] = None,
    config: ConfigOption = None,
) -> None:
    """Write a whole session to a file or the terminal.

    Example: nanobot sessions export api:default --format markdown -o talk.md
    """
    found, messages = _read(configured(config), session)
    text = as_json(found, messages) if form is ExportFormat.json else as_markdown(found, messages)
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
    session: SessionArgument,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    config: ConfigOption = None,
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
