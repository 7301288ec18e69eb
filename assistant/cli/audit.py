"""`nanobot audit`: what tools did, when, by whose word, after which words of others."""

from collections.abc import Sequence
from datetime import UTC, datetime, time
from typing import Annotated, Final

import typer

from assistant.api.chat.route import known_key
from assistant.cli.shared import (
    ConfigOption,
    JsonOption,
    LimitOption,
    configured,
    moment,
    owner_of,
    pages,
    print_list,
    read_day,
    with_store,
)
from assistant.contracts.audit import Deed
from assistant.contracts.people import shown_person
from assistant.store.store import Store

_WIDE: Final = 80
"""Characters of what was done; --json has all."""

commands = typer.Typer()


@commands.command("audit")
def audit(
    session: Annotated[str | None, typer.Option(metavar="ID", help="Of this session, as nanobot sessions lists it.")] = None,
    person: Annotated[str | None, typer.Option(metavar="PERSON", help="Of this person alone: id, name or identity.")] = None,
    since: Annotated[str | None, typer.Option(metavar="DAY", help="From this day on (2026-11-29), or from so many days ago (7d).")] = None,
    limit: LimitOption = 50,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """What tools did, the latest first: who asked, what was read before, under which approval.

    A call that waits for a yes is "asked". --json has all fields. Entries stay when their session is deleted. Times are UTC.

    Example: nanobot audit --person anna --since 7d
    """
    day = read_day(since)
    start = datetime.combine(day, time(), UTC) if day else None

    async def latest(store: Store) -> list[Deed]:
        whose = person and await owner_of(store, person)
        key = session and known_key(session)
        return await pages(
            lambda count, last: store.audit.list(whose, session=key, since=start, limit=count, before=last.id if last else None), limit
        )

    found = with_store(configured(config), latest)
    heads = ("WHEN (UTC)", "PERSON", "CAUSE", "TOOL", "WHAT", "AFTER READING")
    print_list(found, heads, _row, as_json=as_json, empty="No tool did anything that is kept here.")


def _row(deed: Deed) -> Sequence[str]:
    who = shown_person(deed.owner) if deed.caller == deed.owner else f"{shown_person(deed.owner)}, by {shown_person(deed.caller)}"
    cause = f"{deed.cause.kind} {deed.cause.id}".strip() + (f", {deed.approval}" if deed.approval not in ("", deed.cause.id) else "")
    text = f"{deed.kind}: {deed.text}" if deed.kind in ("asked", "ran") else deed.text
    return moment(deed.at), who, cause, deed.tool, text if len(text) <= _WIDE else f"{text[: _WIDE - 1]}…", ", ".join(deed.read)
