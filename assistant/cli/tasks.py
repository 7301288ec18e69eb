"""`nanobot tasks list | show | stop | retry | dismiss`."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Final, cast, get_args

import orjson
import typer

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
from assistant.contracts.people import shown_person
from assistant.contracts.tasks import Task, TaskState
from assistant.store.store import Store
from assistant.tasks.book import TaskBook

_STATES: Final = get_args(TaskState)
_NOTHING: Final = "Nothing was done in the background yet: the assistant starts helpers by its tool delegate, and long commands by run."

commands = typer.Typer(name="tasks", help="What helpers and commands do in the background.", no_args_is_help=True)

TaskArgument = Annotated[str, typer.Argument(metavar="ID", help="As listed: task_…")]


@commands.command("list")
def list_tasks(
    state: Annotated[str | None, typer.Option(metavar="STATE", help=f"Only these: {', '.join(_STATES)}.")] = None,
    person: Annotated[str | None, typer.Option(metavar="PERSON", help="Only those of this person: id, name or identity.")] = None,
    limit: LimitOption = 50,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """List tasks, the newest first. A result that is kept waits for its conversation: retry hands it over.

    Example: nanobot tasks list --state running
    """
    if state is not None and state not in _STATES:
        raise typer.BadParameter(f"must be one of {', '.join(_STATES)}.", param_hint="--state")
    wanted = cast("TaskState | None", state)

    async def latest(store: Store) -> list[Task]:
        whose, book = person and await owner_of(store, person), TaskBook(store.tasks, store.sessions)
        return await pages(lambda count, last: book.list(whose, state=wanted, limit=count, before=last.id if last else None), limit)

    found = with_store(configured(config), latest)
    heads = ("ID", "STATE", "RESULT", "PERSON", "STARTED (UTC)", "ENDED (UTC)", "TASK")
    if as_json:
        print_list([_facts(each) for each in found], heads, lambda _: (), as_json=True)
    else:
        print_list(found, heads, _row, empty=_NOTHING)


@commands.command()
def show(task: TaskArgument, as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Show a task, where it was asked for, and what came of it.

    Example: nanobot tasks show task_019a…
    """
    found = _with_book(config, lambda book: book.get(None, task))
    if as_json:
        typer.echo(orjson.dumps(_facts(found)))
        return
    new, outcome = found.new, found.outcome
    lines = [
        f"{found.id}  {new.kind}  {found.state}  {found.handover}".rstrip(),
        f"person   {shown_person(new.owner)}",
        f"agent    {new.agent}",
    ]
    lines += [f"asked    {new.session}, {new.turn_id}", f"made     {moment(found.created)} UTC"]
    lines += [f"tokens   {found.usage.prompt_tokens:,} in, {found.usage.completion_tokens:,} out"]
    lines += [f"did      {effect.text}" for effect in outcome.effects]
    typer.echo(harmless("\n".join([*lines, "", new.text, "", outcome.answer or outcome.error or "No result yet."])))


@commands.command()
def stop(task: TaskArgument, config: ConfigOption = None) -> None:
    """Stop a task. What it did stays.

    Example: nanobot tasks stop task_019a…
    """
    _told(_with_book(config, lambda book: book.stop(None, task)), "is stopped by the server that works on it, within seconds")


@commands.command()
def retry(task: TaskArgument, config: ConfigOption = None) -> None:
    """Do a task that failed or was stopped again, or hand over a result that was kept.

    Example: nanobot tasks retry task_019a…
    """
    _told(_with_book(config, lambda book: book.retry(None, task)), "a server that runs does it now (nanobot serve)")


@commands.command()
def dismiss(task: TaskArgument, config: ConfigOption = None) -> None:
    """Stop keeping a result for a conversation that is gone.

    Example: nanobot tasks dismiss task_019a…
    """
    _told(_with_book(config, lambda book: book.dismiss(None, task)), "")


def _with_book(config: Path | None, use: Callable[[TaskBook], Awaitable[Task]]) -> Task:
    return with_store(configured(config), lambda store: use(TaskBook(store.tasks, store.sessions)))


def _told(task: Task, under_way: str) -> None:
    typer.echo(f"{task.id}  {task.state}{f': {under_way}' if under_way and task.ended is None else ''}")


def _facts(task: Task) -> dict[str, Any]:
    """All of it, side by side."""
    facts = asdict(task)
    return {**facts.pop("new"), **facts}


def _row(task: Task) -> Sequence[str]:
    new = task.new
    started, ended = [moment(at) if at else "" for at in (task.started, task.ended)]
    return task.id, task.state, task.handover, shown_person(new.owner), started, ended, new.text[:60]
