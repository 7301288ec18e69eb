"""`nanobot people list | show | name | role | zone | quiet | prefer | link | unlink | export | forget`: who is who."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import orjson
import typer

from assistant.cli.shared import ConfigOption, JsonOption, configured, harmless, moment, print_table, with_store
from assistant.config.extensions import ConfiguredChannels
from assistant.contracts.addresses import parse_address
from assistant.contracts.people import Person, PersonRole, shown_person
from assistant.contracts.util import replace_surrogates, visible_name
from assistant.store.store import Store
from tools.workspace import files_in_folders, remove_folders

T = TypeVar("T")
commands = typer.Typer(name="people", help="Who is who: what is kept belongs to a person, and no other sees it.", no_args_is_help=True)

_KEPT: Final = {"ledger": "model calls", "outbox": "deliveries", "inbox": "messages from chats", "memory_tombstones": "forgotten"}
"""Tables, in words; the others are called what they hold."""
PersonArgument = Annotated[
    str, typer.Argument(metavar="PERSON", help='Their id, name, or an identity such as telegram:42; "owner" runs the server.')
]


@commands.command("list")
def list_people(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """List people with their identities, the owner first.

    Example: nanobot people list
    """
    found = with_store(configured(config), lambda store: store.people.list())
    if as_json:
        for person in found:
            typer.echo(orjson.dumps(_facts(person)))
        return
    heads = ("PERSON", "NAME", "ROLE", "ZONE", "IDENTITIES")
    print_table(heads, [(shown_person(one.id), one.name, one.role, _zone(one), ", ".join(one.identities)) for one in found])


@commands.command()
def show(person: PersonArgument, as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Show a person, and how much is kept of them.

    Example: nanobot people show telegram:123456789
    """

    async def look(store: Store, found: Person) -> tuple[Person, dict[str, int]]:
        return found, {table: len(rows) for table, rows in (await store.people.export(found.id)).items()}

    found, kept = _with_person(config, person, look)
    if as_json:
        typer.echo(orjson.dumps({**_facts(found), "kept": kept}))
        return
    facts = {
        **_facts(found),
        "prefers": ", ".join(map(str, found.prefers)),
        "identities": ", ".join(found.identities),
        "kept": ", ".join(f"{many} {_KEPT.get(what, what)}" for what, many in kept.items() if many),
    }
    for name, value in facts.items():
        typer.echo(f"{name:<11} {harmless(str(value or '-'))}")


@commands.command()
def name(person: PersonArgument, to: Annotated[str, typer.Argument(metavar="NAME")], config: ConfigOption = None) -> None:
    """Name a person. The assistant is told the name, too.

    Example: nanobot people name telegram:123456789 Anna
    """
    _change(config, person, name=visible_name(replace_surrogates(to)))


@commands.command()
def role(
    person: PersonArgument,
    to: Annotated[PersonRole, typer.Argument(metavar="ROLE", help="owner, user or guest.")],
    config: ConfigOption = None,
) -> None:
    """Give a person a role. A guest may talk, read, keep files and notes, and set reminders for themselves.

    Example: nanobot people role anna guest
    """
    _change(config, person, role=to)


@commands.command()
def zone(
    person: PersonArgument,
    to: Annotated[str, typer.Argument(metavar="ZONE", help='Such as Europe/Berlin; "" for the server\'s.')],
    config: ConfigOption = None,
) -> None:
    """Set the time zone by which a person's times are meant.

    Example: nanobot people zone anna Europe/Berlin
    """
    _change(config, person, zone=to)


@commands.command()
def quiet(
    person: PersonArgument,
    to: Annotated[str, typer.Argument(metavar="HOURS", help='22:00-07:00; "" for none.')],
    config: ConfigOption = None,
) -> None:
    """Set the hours in which only what is urgent is delivered.

    They are by the person's clock. What comes then waits for their end.

    Example: nanobot people quiet anna 22:00-07:00
    """
    _change(config, person, quiet=to)


@commands.command()
def prefer(
    person: PersonArgument,
    chats: Annotated[list[str], typer.Argument(metavar="CHAT...", help='Such as telegram:42, the first choice first; "" for none.')],
    config: ConfigOption = None,
) -> None:
    """Set the chats in which a person is reached first.

    Messages and schedules to the person (nanobot send anna) go to the first. Where one can't be delivered there, it goes to the next channel.
    Without a preference they go to the private chat that the person wrote from last. In a chat: /prefer.

    Example: nanobot people prefer anna telegram:42 discord:987654321
    """
    channels = ConfiguredChannels(configured(config).config.channels.by_name())
    wanted = [channels.check(parse_address(replace_surrogates(chat))) for chat in chats if chat]
    _change(config, person, prefers=wanted)


@commands.command()
def link(
    person: PersonArgument,
    identity: Annotated[str | None, typer.Argument(metavar="[IDENTITY]", help="Join this one now: telegram:42, key:<id>.")] = None,
    config: ConfigOption = None,
) -> None:
    """Join another chat or key to a person.

    Without IDENTITY a code is made for it. The code is entered as /link CODE in a private chat, or by POST /v1/link, within ten
    minutes, once. Everything that belongs to that chat or key becomes the person's, and it sees everything of the person.

    Example: nanobot people link anna discord:987654321
    """

    async def join(store: Store, found: Person) -> str:
        if identity is None:
            made = await store.links.code(found.id)
            return f"{made.code}\nwrite /link {made.code} in the other chat, until {moment(made.expires)} UTC"
        await store.links.join(replace_surrogates(identity.strip()), found.id)
        return f"{identity.strip()} belongs to {shown_person(found.id)} now"

    typer.echo(harmless(_with_person(config, person, join)))


@commands.command()
def unlink(
    identity: Annotated[str, typer.Argument(metavar="IDENTITY", help="As listed: telegram:42, key:<id>.")], config: ConfigOption = None
) -> None:
    """Separate a chat or key from its person. It becomes a person of its own; what is kept stays with the old one. Schedules
    that were made in that chat go with it, and others that deliver there are paused.

    Example: nanobot people unlink discord:987654321
    """
    wanted = replace_surrogates(identity.strip())
    found = with_store(configured(config), lambda store: store.links.unlink(wanted))
    typer.echo(harmless(f"{wanted} is a person of its own now: {found.id}"))


@commands.command()
def export(
    person: PersonArgument,
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write to this new file.")] = None,
    config: ConfigOption = None,
) -> None:
    """Write everything that is kept of a person, as JSON.

    Sessions with their messages, memories, schedules, usage, deliveries, jobs, tasks, approvals, the journal of what was done … Files of the
    workspace are listed, with their sizes: copy them from its people/. Attachments are in the state folder.

    Example: nanobot people export anna -o anna.json
    """

    workspace = configured(config).workspace

    async def read(store: Store, found: Person) -> dict[str, Any]:
        files = await asyncio.to_thread(lambda: [*files_in_folders(workspace, found.id, found.identities)])
        listed = [{"path": path, "bytes": size} for path, size in files]
        return {"person": _facts(found), **await store.people.export(found.id), "workspace_files": listed}

    text = json.dumps(_with_person(config, person, read), ensure_ascii=False, indent=2) + "\n"
    if output is None:
        typer.echo(text, nl=False)
        return
    try:
        with output.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise typer.BadParameter(f"{output} can't be written ({error.strerror}).", param_hint="--output") from error
    output.chmod(0o600)


@commands.command()
def forget(
    person: PersonArgument, yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False, config: ConfigOption = None
) -> None:
    """Delete a person with everything that is kept of them, their files too.

    Their keys are revoked, and pairings end.

    Of the owner, only what is kept is deleted. This can't be undone: nanobot people export keeps a copy.

    Example: nanobot people forget anna --yes
    """

    workspace = configured(config).workspace

    async def delete(store: Store, found: Person) -> str:
        if not yes:
            typer.confirm(f"Delete {harmless(found.name or shown_person(found.id))} with everything that is kept?", abort=True)
        await store.attachments.collect(await store.people.forget(found.id))
        await asyncio.to_thread(remove_folders, workspace, found.id, found.identities)
        return shown_person(found.id)

    typer.echo(harmless(f"{_with_person(config, person, delete)} is forgotten"))


def _change(config: Path | None, person: str, **what: Any) -> None:
    changed = _with_person(config, person, lambda store, found: store.people.change(found.id, **what))
    typer.echo(
        harmless(
            " · ".join(
                filter(None, [shown_person(changed.id), changed.name, changed.role, _zone(changed), _quiet(changed), _prefers(changed)])
            )
        )
    )


def _with_person(config: Path | None, wanted: str, use: Callable[[Store, Person], Awaitable[T]]) -> T:
    """Raises PersonNotFound, PersonConflict."""

    async def find(store: Store) -> T:
        return await use(store, await store.people.find(replace_surrogates(wanted)))

    return with_store(configured(config), find)


def _zone(person: Person) -> str:
    return person.zone.key + ("" if person.zone_chosen else " (the server's)")


def _quiet(person: Person) -> str:
    return f"quiet {person.quiet.start:%H:%M}-{person.quiet.end:%H:%M}" if person.quiet else ""


def _prefers(person: Person) -> str:
    return f"prefers {', '.join(map(str, person.prefers))}" if person.prefers else ""


def _facts(person: Person) -> dict[str, Any]:
    return {
        "id": shown_person(person.id),
        "name": person.name,
        "role": person.role,
        "zone": person.zone.key,
        "quiet": _quiet(person).removeprefix("quiet "),
        "prefers": list(map(str, person.prefers)),
        "identities": list(person.identities),
    }
