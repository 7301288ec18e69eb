"""`nanobot sessions list | show | export | compact | delete`."""

import asyncio
from collections.abc import Awaitable, Sequence
from pathlib import Path
from typing import Annotated, Literal

import orjson
import typer

from assistant.api.chat.route import known_key
from assistant.cli.shared import ConfigOption, JsonOption, LimitOption, configured, harmless, moment, pages, print_list, with_store
from assistant.config import Loaded
from assistant.contracts.errors import SessionNotFound, StoreUnavailable
from assistant.contracts.messages import AssistantMessage, Text, ToolMessage, UserMessage, describe
from assistant.contracts.sessions import Session, SessionStore, StoredMessage
from assistant.store.store import Store
from assistant.turns.compaction import MadeCut

commands = typer.Typer(name="sessions", help="Stored conversations.", no_args_is_help=True)

SessionArgument = Annotated[str, typer.Argument(metavar="SESSION", help="Its key, as listed, or the session_id that was sent to the API.")]


@commands.command("list")
def list_sessions(limit: LimitOption = 50, as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """List sessions, the latest first.

    Example: nanobot sessions list --limit 10
    """

    def latest(store: Store) -> Awaitable[list[Session]]:
        return pages(lambda count, last: store.sessions.list(None, limit=count, before=last.key if last else None), limit)

    print_list(with_store(configured(config), latest), ("SESSION", "MESSAGES>", "TOKENS>", "LAST (UTC)"), _row, as_json=as_json)


@commands.command()
def show(session: SessionArgument, config: ConfigOption = None) -> None:
    """Print a session as Markdown.

    Example: nanobot sessions show api:default
    """
    typer.echo(harmless(_markdown(*_read(configured(config), session))), nl=False)


@commands.command()
def export(
    session: SessionArgument,
    form: Annotated[
        Literal["json", "markdown"], typer.Option("--format", metavar="FORMAT", help="json (everything) or markdown (what was said).")
    ] = "json",
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write to this new file.")] = None,
    config: ConfigOption = None,
) -> None:
    """Write a whole session to a file or the terminal.

    Example: nanobot sessions export api:default --format markdown -o talk.md
    """
    found, messages = _read(configured(config), session)
    if form == "json":
        text = orjson.dumps({"session": found, "messages": messages}, option=orjson.OPT_INDENT_2, default=sorted).decode() + "\n"
    else:
        text = _markdown(found, messages)
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


@commands.command()
def compact(session: SessionArgument, config: ConfigOption = None) -> None:
    """Sum up the older part of a session.

    The model then sees a summary in place of the older messages, which stay stored. A server does this by itself where a session outgrows the
    model's context. Needs no server, and may be used beside one.

    Example: nanobot sessions compact telegram:123456789
    """
    from assistant.app.services import open_services  # noqa: PLC0415 - the other commands need no model

    loaded = configured(config)
    found = with_store(loaded, lambda store: _find(store.sessions, session))

    async def run() -> MadeCut | None:
        async with open_services(loaded) as services:
            task = await services.turns.compact(found.owner, found.key)
            return await task if task else None

    made = asyncio.run(run())
    if made is None:
        typer.echo(f"{harmless(found.key)} has nothing older to sum up")
    elif made.stored:
        by = made.cut.made_by or "the server, without a model"
        typer.echo(
            f"{harmless(found.key)} is summed up before message {made.cut.seq}, in about {made.cut.tokens:,} tokens, by {harmless(by)}"
        )
    else:
        raise StoreUnavailable(f"{harmless(found.key)} changed meanwhile, and stays as it is. Try again.")


@commands.command()
def delete(
    session: SessionArgument, yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False, config: ConfigOption = None
) -> None:
    """Delete a session for good.

    With its messages, and the attachments that no other session holds. This can't be undone.

    Example: nanobot sessions delete api:old-talk
    """
    loaded = configured(config)
    found = with_store(loaded, lambda store: _find(store.sessions, session))
    if not yes:
        typer.confirm(f"Delete {harmless(found.key)} with its {found.messages} messages?", abort=True)
    if not with_store(loaded, lambda store: store.sessions.delete(found.owner, found.key)):
        raise SessionNotFound
    typer.echo(f"{harmless(found.key)} is deleted")


def _row(session: Session) -> tuple[str, ...]:
    tokens = session.usage.prompt_tokens + session.usage.completion_tokens
    return session.key, str(session.messages), f"{tokens:,}", moment(session.updated)


def _read(loaded: Loaded, key: str) -> tuple[Session, list[StoredMessage]]:
    async def read(store: Store) -> tuple[Session, list[StoredMessage]]:
        found = await _find(store.sessions, key)

        def page(count: int, last: StoredMessage | None) -> Awaitable[Sequence[StoredMessage]]:
            return store.sessions.messages(found.owner, found.key, after=last.seq if last else 0, limit=count)

        return found, await pages(page)

    return with_store(loaded, read)


async def _find(sessions: SessionStore, key: str) -> Session:
    found = await sessions.get(None, key) or await sessions.get(None, known_key(key))
    if found is None:
        raise SessionNotFound(f'There is no session "{harmless(key)}". nanobot sessions list shows those there are.')
    return found


def _markdown(session: Session, messages: Sequence[StoredMessage]) -> str:
    """The conversation, without the texts of files and tools' results."""
    lines = [f"# {session.key}", "", f"{session.messages} messages, begun {moment(session.created)}, last {moment(session.updated)} (UTC)"]
    for stored in messages:
        match stored.message:
            case UserMessage(parts=parts):
                lines += ["", f"## You, {moment(stored.at)}", ""]
                shown = [part for part in parts if not (isinstance(part, Text) and part.recalled)]
                lines += [part.text if isinstance(part, Text) else f"*[{describe(part)}]*" for part in shown]
            case AssistantMessage(text=text, tool_calls=calls, cut_off=cut_off):
                lines += ["", f"## Assistant, {moment(stored.at)}", ""]
                lines += [text] if text else []
                lines += [f"*used {call.name}*" for call in calls]
                lines += [f"*({cut_off})*"] if cut_off else []
            case ToolMessage(ok=False, name=name):
                lines += ["", f"*{name} failed*"]
            case ToolMessage():
                pass
    return "\n".join(lines) + "\n"
