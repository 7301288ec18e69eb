"""`nanobot budgets list | set | remove`: what people, keys, agents and causes may use."""

from typing import Annotated, Literal

import typer

from assistant.cli.shared import ConfigOption, configured, harmless, print_table, with_store
from assistant.contracts.errors import NotFound
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
def list_budgets(config: ConfigOption = None) -> None:
    """List the budgets: those of the configuration, and those set here, which win.

    Example: nanobot budgets list
    """
    loaded = configured(config)
    own = [(budget, "configuration") for settings in loaded.config.budgets for budget in settings.budgets()]
    found = [*own, *[(budget, "set here") for budget in with_store(loaded, lambda store: store.ledger.budgets())]]
    rows = [(each.subject, f"{amount(each.unit, each.amount)} {budget_period(each.period)}", source) for each, source in found]
    print_table(("SUBJECT", "BUDGET", "FROM"), rows)


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
    wanted = budget_of(subject, per, tokens, usd)

    async def write(store: Store) -> None:
        for budget in wanted:
            await store.ledger.set_budget(budget)

    with_store(configured(config), write)
    for budget in wanted:
        typer.echo(f"{harmless(subject)} may use {amount(budget.unit, budget.amount)} {budget_period(budget.period)}")


@commands.command()
def remove(subject: Subject, config: ConfigOption = None) -> None:
    """Remove the budgets of a subject that were set here. Those of the configuration stay.

    Example: nanobot budgets remove role:guest
    """
    if not with_store(configured(config), lambda store: store.ledger.remove_budgets(subject)):
        raise NotFound(f'No budget was set for "{harmless(subject)}". nanobot budgets list shows those there are.')
    typer.echo(f"the budgets of {harmless(subject)} are removed")
