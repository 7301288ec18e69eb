"""`nanobot approvals list | show | approve | deny`."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Final, TypeVar

import orjson
import typer

from assistant.app.approvals import open_book
from assistant.approvals.book import ApprovalBook, told
from assistant.approvals.calls import summary
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
from assistant.config import Loaded
from assistant.contracts.approvals import Approval, ApprovalWord
from assistant.contracts.people import shown_person
from assistant.store.store import Store

T = TypeVar("T")
_HEADS: Final = ("CODE", "STATE", "PERSON", "UNTIL (UTC)", "CALL")
_NOTHING: Final = "Nothing waits for a yes. A call that needs one is listed here until it is answered, with its code."

commands = typer.Typer(name="approvals", help="Calls that wait for a person's yes.", no_args_is_help=True)

CodeArgument = Annotated[str, typer.Argument(metavar="CODE", help="As listed: K7M2Q9, or its id, apr_…")]


@commands.command("list")
def list_approvals(
    everything: Annotated[bool, typer.Option("--all", help="With those that were answered or have expired.")] = False,
    person: Annotated[str | None, typer.Option(metavar="PERSON", help="Only those of this person: id, name or identity.")] = None,
    limit: LimitOption = 50,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """List what waits, the newest first.

    Example: nanobot approvals list --all --limit 10
    """

    async def read(store: Store, book: ApprovalBook) -> list[Approval]:
        whose = person and await owner_of(store, person)
        return await pages(
            lambda count, last: book.list(whose, waiting=not everything, limit=count, before=last.id if last else None), limit
        )

    print_list(_with_book(configured(config), read), _HEADS, _row, as_json=as_json, empty=_NOTHING)


@commands.command()
def show(code: CodeArgument, as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Show the whole call, why it needs a yes, and what followed.

    Example: nanobot approvals show K7M2Q9
    """
    found = _with_book(configured(config), lambda _, book: book.get(None, _code(code)))
    if as_json:
        typer.echo(orjson.dumps(found))
        return
    lines = [f"{found.id}  {found.code}  {found.state}", f"person   {shown_person(found.person)}", f"session  {found.session}"]
    lines += [
        f"agent    {found.agent}",
        f"made     {moment(found.created)} UTC",
        f"until    {moment(found.expires_at)} UTC",
        f"why      {found.why}",
    ]
    typer.echo(harmless("\n".join([*lines, "", found.text])))


@commands.command()
def approve(
    code: CodeArgument,
    session: Annotated[bool, typer.Option("--session", help="Also its like in this conversation, without another question.")] = False,
    config: ConfigOption = None,
) -> None:
    """Say yes. A server that runs on the same store runs the call, and the session goes on.

    Example: nanobot approvals approve K7M2Q9
    """
    _answered(configured(config), code, "session" if session else "once")


@commands.command()
def deny(code: CodeArgument, config: ConfigOption = None) -> None:
    """Say no: the call does not run.

    Example: nanobot approvals deny K7M2Q9
    """
    _answered(configured(config), code, "deny")


def _answered(loaded: Loaded, code: str, word: ApprovalWord) -> None:
    found = _with_book(loaded, lambda _, book: book.answer(None, _code(code), word))
    stands = told(found)
    if found.state == "approved":  # nothing is run by this process
        stands = f"Approved{' for this session' if found.answer == 'session' else ''}: a server that runs does it now (nanobot serve)."
    typer.echo(harmless(f"{found.code}  {stands} {summary(found)}"))


def _with_book(loaded: Loaded, use: Callable[[Store, ApprovalBook], Awaitable[T]]) -> T:
    def on(store: Store) -> Awaitable[T]:
        return use(store, open_book(loaded, store))

    return with_store(loaded, on)


def _code(written: str) -> str:
    return written if written.startswith("apr_") else written.upper()


def _row(each: Approval) -> Sequence[str]:
    return each.code, each.state, shown_person(each.person), moment(each.expires_at), summary(each, 60)
