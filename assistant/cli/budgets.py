"""`nanobot budgets list | set | remove`: what people, keys, agents and causes may use."""

from collections.abc import Sequence
from typing import Annotated, Literal

import orjson
import typer

from assistant.cli.shared import ConfigOption, JsonOption, configured, harmless, owner_of, print_table, with_store
from assistant.contracts.errors import NotFound
from assistant.contracts.ledger import NANO, Budget
from assistant.contracts.people import shown_person
from assistant.ledger.budgets import amount, budget_of, budget_period
from assistant.store.store import Store

commands = typer.Typer(name="budgets", help="What people, keys, agents and causes may use of models.", no_args_is_help=True)

Subject = Annotated[
    str,
    typer.Argument(
        metavar="SUBJECT",
        help="person:ID, key:ID, agent:NAME, cause:KIND or all; person, role:guest, key, agent: each that has none of its own.",
    ),
]


@commands.command("list")
def list_budgets(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """List the budgets of the configuration, and those set here.

    Those set here win.

    Example: nanobot budgets list
    """
    loaded = configured(config)
    own = [(budget, "configuration") for settings in loaded.config.budgets for budget in settings.budgets()]
    found = [*own, *[(budget, "set here") for budget in with_store(loaded, lambda store: store.ledger.budgets())]]
    if as_json:
        for each, source in found:
            typer.echo(orjson.dumps({"subject": _shown(each.subject), "per": each.period, **_limit(each), "from": source}))
        return
    rows = [(_shown(each.subject), f"{amount(each.unit, each.amount)} {budget_period(each.period)}", source) for each, source in found]
    print_table(("SUBJECT", "BUDGET", "FROM"), rows, "No budget is set. nanobot budgets set all --per month --usd 20 sets one.")


@commands.command("set")
def set_budget(
    subject: Subject,
    per: Annotated[Literal["hour", "day", "month"], typer.Option(metavar="PERIOD", help="hour, day or month.")] = "day",
    tokens: Annotated[int | None, typer.Option(metavar="NUMBER", min=1, help="Of prompts and answers together.")] = None,
    usd: Annotated[float | None, typer.Option(metavar="AMOUNT", help="US dollars.")] = None,
    config: ConfigOption = None,
) -> None:
    """Set a budget. A running server refuses calls over it within seconds; what was used before counts.

    Example: nanobot budgets set role:guest --per day --tokens 100000
    """
    budget_of(subject, per, tokens, usd)

    async def write(store: Store) -> Sequence[Budget]:
        wanted = budget_of(await _meant(store, subject), per, tokens, usd)
        for budget in wanted:
            await store.ledger.set_budget(budget)
        return wanted

    for budget in with_store(configured(config), write):
        typer.echo(f"{harmless(_shown(budget.subject))} may use {amount(budget.unit, budget.amount)} {budget_period(budget.period)}")


@commands.command()
def remove(subject: Subject, config: ConfigOption = None) -> None:
    """Remove the budgets of a subject that were set here. Those of the configuration stay.

    Example: nanobot budgets remove role:guest
    """

    async def write(store: Store) -> bool:
        return await store.ledger.remove_budgets(await _meant(store, subject)) > 0

    if not with_store(configured(config), write):
        raise NotFound(f'No budget was set for "{harmless(subject)}". nanobot budgets list shows those there are.')
    typer.echo(f"the budgets of {harmless(subject)} are removed")


def _limit(budget: Budget) -> dict[str, float]:
    return {"tokens": budget.amount} if budget.unit == "tokens" else {"usd": budget.amount / NANO}


async def _meant(store: Store, subject: str) -> str:
    """A person may be given by id, name or identity. Raises PersonNotFound, PersonConflict."""
    kind, _, person = subject.partition(":")
    return f"person:{await owner_of(store, person)}" if kind == "person" and person else subject


def _shown(subject: str) -> str:
    kind, _, person = subject.partition(":")
    return f"person:{shown_person(person)}" if kind == "person" and person else subject
