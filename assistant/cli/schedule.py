"""`nanobot schedule list | add | show | run | pause | resume | cancel`."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Final, Literal, TypeVar, cast, get_args

import orjson
import typer

from assistant.access.addressees import Addressees
from assistant.app.schedules import Later, open_later
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
    print_table,
    with_store,
)
from assistant.config import Loaded
from assistant.config.extensions import ConfiguredChannels
from assistant.contracts.addresses import parse_address
from assistant.contracts.errors import InvalidRequest
from assistant.contracts.people import OWNER_SHOWN, names_person, shown_person
from assistant.contracts.schedules import NewSchedule, Occurrence, Schedule, ScheduleState, Watched
from assistant.contracts.util import replace_surrogates
from assistant.store.store import Store

T = TypeVar("T")
_NOTHING: Final = 'Nothing is planned. nanobot schedule add "tomorrow at 9:00" "call Anna" --to telegram:42 plans a reminder.'
_STATES: Final = get_args(ScheduleState)

commands = typer.Typer(
    name="schedule", help="What is planned: reminders, questions to the assistant, watches, workflows.", no_args_is_help=True
)

ScheduleArgument = Annotated[str, typer.Argument(metavar="ID", help="As listed: sch_…")]


@commands.command("list")
def list_schedules(
    state: Annotated[str | None, typer.Option(metavar="STATE", help=f"Only these: {', '.join(_STATES)}.")] = None,
    person: Annotated[str | None, typer.Option(metavar="PERSON", help="Only those of this person: id, name or identity.")] = None,
    limit: LimitOption = 50,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """List schedules, the newest first.

    Example: nanobot schedule list --state active
    """
    if state is not None and state not in _STATES:
        raise typer.BadParameter(f"must be one of {', '.join(_STATES)}.", param_hint="--state")
    wanted = cast("ScheduleState | None", state)

    async def latest(store: Store, later: Later) -> list[tuple[Schedule, str]]:
        whose = person and await owner_of(store, person)
        found = await pages(lambda count, last: later.book.list(whose, state=wanted, limit=count, before=last.id if last else None), limit)
        return [(each, later.words.tell(each)) for each in found]

    found = _with_book(configured(config), latest)
    if as_json:
        for schedule, _ in found:
            typer.echo(orjson.dumps(schedule))
    else:
        print_table(("ID", "KIND", "STATE", "WHEN", "TO", "PERSON", "TEXT"), [_row(*each) for each in found], _NOTHING)


@commands.command()
def add(
    when: Annotated[str, typer.Argument(metavar="WHEN", help='In words, ISO 8601 or cron: "in 10 minutes", "every weekday at 8:30".')],
    text: Annotated[str, typer.Argument(metavar="TEXT", help="A reminder's words, the prompt, or the workflow's id.")],
    to: Annotated[
        str | None,
        typer.Option(metavar="RECIPIENT", help="A chat (telegram:42), or a person by name. Default: the chat that the person prefers."),
    ] = None,
    kind: Annotated[
        Literal["reminder", "ask", "watch", "workflow"],
        typer.Option(
            metavar="KIND", help="reminder (the text as it is), ask (the assistant answers it), watch (asked when it changed), workflow."
        ),
    ] = "reminder",
    watch: Annotated[str | None, typer.Option(metavar="TARGET", help="Of a watch: a URL, feed:URL, or a file of the workspace.")] = None,
    zone: Annotated[str | None, typer.Option(metavar="ZONE", help="IANA, such as Europe/Berlin. Default: the person's.")] = None,
    on_miss: Annotated[
        Literal["run", "skip", "tell"], typer.Option(metavar="RULE", help="If no server runs when it is due: run late, skip, or tell only.")
    ] = "run",
    urgent: Annotated[bool, typer.Option("--urgent", help="Deliver in quiet hours, too.")] = False,
    until_done: Annotated[int, typer.Option(metavar="MINUTES", min=0, max=1440, help="Repeat a reminder until it is done.")] = 0,
    person: Annotated[str, typer.Option(metavar="PERSON", help="Whose it is: a person's id, name or identity.")] = OWNER_SHOWN,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Plan something. A server that runs on the same store does it.

    Example: nanobot schedule add "in 10 minutes" "stretch" --to telegram:42
    """
    loaded = configured(config)
    channels = ConfiguredChannels(loaded.config.channels.by_name())

    async def make(store: Store, later: Later) -> tuple[Schedule, str]:
        owner = await owner_of(store, person)
        rule, named = await later.words.read(owner, replace_surrogates(when), zone or "")
        named_person = to is not None and names_person(to, channels.names)
        receiver = await Addressees(store.people, channels).find(to, owner) if to and named_person else None
        address = (
            None if receiver else channels.check(parse_address(to)) if to else await later.words.chat(owner) if kind == "reminder" else None
        )
        if address is None and receiver is None and kind == "reminder":
            raise InvalidRequest("Say where the reminder goes: --to telegram:123456789, as the chat's /id shows it.", param="to")
        new = NewSchedule(
            owner=owner,
            kind=kind,
            rule=rule,
            zone=named,
            text=replace_surrogates(text),
            address=address,
            person=receiver and receiver.person,
            watched=_watched(watch),
            on_miss=on_miss,
            urgent=urgent,
            until_done=until_done,
        )
        made = await later.book.add(new)
        return made, later.words.tell(made)

    made, when_words = _with_book(loaded, make)
    typer.echo(orjson.dumps(made) if as_json else harmless(f"{made.id}  {made.new.kind} · {when_words}"))


@commands.command()
def show(schedule: ScheduleArgument, limit: LimitOption = 20, as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Show a schedule, and how its occurrences ended, the latest first.

    Example: nanobot schedule show sch_019a…
    """

    async def read(_: Store, later: Later) -> tuple[Schedule, str, Sequence[Occurrence]]:
        found = await later.book.get(None, schedule)
        return found, later.words.tell(found), await later.book.occurrences(None, found.id, limit=limit)

    found, when, history = _with_book(configured(config), read)
    if as_json:
        typer.echo(orjson.dumps({"schedule": found, "occurrences": history}))
        return
    new = found.new
    lines = [f"{found.id}  {new.kind}  {found.state}", f"when     {when}", f"to       {new.receiver or 'the session it was made in'}"]
    lines += [f"person   {shown_person(new.owner)}", f"made     {moment(found.created)} UTC", f"missed   {new.on_miss}", "", new.text, ""]
    typer.echo(harmless("\n".join(lines)))
    if history:
        print_list(history, ("DUE (UTC)", "STATE", "ENDED (UTC)", "REF", "WHY"), _occurrence)


@commands.command()
def run(schedule: ScheduleArgument, config: ConfigOption = None) -> None:
    """Do it once now, besides its rule. The server that runs on this store does it.

    Example: nanobot schedule run sch_019a…
    """
    found = _with_book(configured(config), lambda _, later: later.book.run(None, schedule))
    typer.echo(f"{found.id}  {found.state}: a server that runs does it now (nanobot serve)")


@commands.command()
def pause(schedule: ScheduleArgument, config: ConfigOption = None) -> None:
    """Pause a schedule: nothing of it happens until it goes on.

    Example: nanobot schedule pause sch_019a…
    """
    _changed(configured(config), lambda later: later.book.pause(None, schedule))


@commands.command()
def resume(schedule: ScheduleArgument, config: ConfigOption = None) -> None:
    """Let a paused schedule go on from now.

    What was due meanwhile is not made up for.

    Example: nanobot schedule resume sch_019a…
    """
    _changed(configured(config), lambda later: later.book.resume(None, schedule))


@commands.command()
def cancel(schedule: ScheduleArgument, config: ConfigOption = None) -> None:
    """End a schedule. Its history stays.

    Example: nanobot schedule cancel sch_019a…
    """
    _changed(configured(config), lambda later: later.book.cancel(None, schedule))


def _with_book(loaded: Loaded, use: Callable[[Store, Later], Awaitable[T]]) -> T:
    channels = ConfiguredChannels(loaded.config.channels.by_name())

    def on(store: Store) -> Awaitable[T]:
        return use(store, open_later(store, channels, store.people))

    return with_store(loaded, on)


def _changed(loaded: Loaded, change: Callable[[Later], Awaitable[Schedule]]) -> None:
    async def act(_: Store, later: Later) -> tuple[Schedule, str]:
        found = await change(later)
        return found, later.words.tell(found)

    found, when = _with_book(loaded, act)
    typer.echo(harmless(f"{found.id}  {found.state}: {found.new.kind} · {when}"))


def _watched(target: str | None) -> Watched | None:
    if target is None:
        return None
    if target.startswith("feed:"):
        return Watched(kind="feed", target=target.removeprefix("feed:"), named=True)
    return Watched(kind="url" if "://" in target else "file", target=target, named=True)


def _row(schedule: Schedule, when: str) -> Sequence[str]:
    new = schedule.new
    return schedule.id, new.kind, schedule.state, when, new.receiver or "its session", shown_person(new.owner), new.text[:60]


def _occurrence(each: Occurrence) -> Sequence[str]:
    return moment(each.instant), each.state, moment(each.ended) if each.ended else "", each.ref or "", each.error or ""
