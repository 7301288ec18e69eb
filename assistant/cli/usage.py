"""`nanobot usage`: what was used, and what it cost."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

import orjson
import typer

from assistant.cli.shared import ConfigOption, configured, owner_of, print_table, read_day, with_store
from assistant.contracts.causes import Payer
from assistant.contracts.ledger import NANO, GroupBy, UsageGroup
from assistant.contracts.people import OWNER_ID, shown_person
from assistant.ledger.budgets import BudgetRules, money
from assistant.ledger.report import UsageReport, UsageReports, bars, level_in_words
from assistant.store.store import Store

commands = typer.Typer()

DayOption = Annotated[str | None, typer.Option(metavar="DAY", help="A day (2026-11-29), or so many days ago (7d).  [default: this month]")]


@commands.command("usage")
def usage(
    by: Annotated[GroupBy, typer.Option("--by", metavar="GROUP", help="day, person, session, model, cause, key or agent.")] = "day",
    since: DayOption = None,
    until: Annotated[str | None, typer.Option(metavar="DAY", help="The last day.  [default: today]")] = None,
    person: Annotated[
        str | None, typer.Option(metavar="PERSON", help="Of this person alone: id, name or identity.  [default: everyone]")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line, for programs.")] = False,
    config: ConfigOption = None,
) -> None:
    """What the models took: calls, tokens, the share that came from the provider's cache, and the cost.

    Running calls are not in it. Days are UTC.

    Example: nanobot usage --by model --since 7d
    """
    loaded = configured(config)

    async def read(store: Store) -> UsageReport:
        owner = await owner_of(store, person or OWNER_ID)
        people, payer = store.people, Payer(owner=owner, caller=owner)
        reports = UsageReports(store=store.ledger, budgets=BudgetRules(loaded.config.budgets, store.ledger, people), people=people)
        return await reports.report(by, payer, everyone=person is None, since=read_day(since), until=read_day(until))

    found = with_store(loaded, read)
    if by == "person":
        found = replace(found, groups=[replace(group, name=shown_person(group.name)) for group in found.groups])
    if as_json:
        for group in found.groups:
            typer.echo(orjson.dumps(_plain(group)))
        return
    _show(by, found)


def _show(by: GroupBy, found: UsageReport) -> None:
    if not found.groups:
        typer.echo(f"No model was called since {found.since:%Y-%m-%d}.")
        return
    priced = any(group.cost for group in found.groups)
    drawn = [*bars(found.groups, lambda group: group.cost if priced else group.tokens), ""]
    heads = (by.upper(), "CALLS>", "PROMPT>", "CACHED>", "ANSWER>", "COST>", "")
    print_table(heads, [_row(group, bar) for group, bar in zip([*found.groups, found.total], drawn, strict=True)])
    for window, used in found.budgets:
        typer.echo(level_in_words(window, used, found.zone))


def _row(group: UsageGroup, bar: str) -> Sequence[str]:
    cost = "unknown" if group.unpriced == group.calls else f"{money(group.cost)}{'+' if group.unpriced else ''}"
    tokens = group.usage
    shown = (f"{group.calls:,}", f"{tokens.prompt_tokens:,}", f"{group.cached_share:.0%}", f"{tokens.completion_tokens:,}", cost)
    return group.name or "(none)", *shown, bar


def _plain(group: UsageGroup) -> dict[str, object]:
    usage = group.usage
    return {
        "name": group.name,
        "calls": group.calls,
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "cached_tokens": usage.cached_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
        "cost_usd": group.cost / NANO,
        "unpriced_calls": group.unpriced,
    }
