"""Calls and budgets for tests of the ledger."""

from datetime import UTC, datetime

from assistant.contracts.causes import MESSAGE, Cause, Payer
from assistant.contracts.ledger import Budget, BudgetWindow, ModelCall, Period, Unit
from assistant.contracts.messages import Usage
from assistant.contracts.util import new_id

START = datetime(2026, 1, 1, tzinfo=UTC)


def a_call(
    prompt: int = 8,
    completion: int = 2,
    *,
    id: str = "",
    owner: str = "anna",
    cost: int | None = None,
    cached: int = 0,
    cause: Cause = MESSAGE,
) -> ModelCall:
    return ModelCall(
        id=id or new_id("use"),
        payer=Payer(owner=owner, caller="key:k1", session=f"api:{owner}", agent="main", cause=cause),
        provider="custom",
        model="fake-model",
        usage=Usage(prompt_tokens=prompt, completion_tokens=completion, cached_tokens=cached),
        cost=cost,
        source="unknown" if cost is None else "price list",
    )


def a_window(
    amount: int,
    *,
    subject: str = "person:anna",
    unit: Unit = "tokens",
    period: Period = "month",
    start: datetime = START,
    most: int | None = None,
) -> BudgetWindow:
    """In a month that holds the tests' clock, and with it every real one."""
    budget = Budget(subject=subject, period=period, unit=unit, amount=amount)
    return BudgetWindow(budget=budget, start=start, end=datetime(2100, 1, 1, tzinfo=UTC), most=amount if most is None else most)
