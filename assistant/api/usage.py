"""GET /v1/usage: what was used, and what it cost."""

from datetime import date
from typing import Literal

from fastapi import Request

from assistant.api.answers import Answer, Time
from assistant.api.middleware.request import principal
from assistant.api.openapi import endpoint, errors
from assistant.contracts.ledger import NANO, BudgetWindow, GroupBy, Period, UsageGroup
from assistant.contracts.records import record
from assistant.ledger.report import UsageReports


class UsageSums(Answer):
    name: str
    """Of the group: a person's id, a model, a day …"""
    calls: int
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    cached_tokens: int
    """Of `prompt_tokens`, those that the provider had in its cache."""
    cached_share: float
    reasoning_tokens: int
    """Of `completion_tokens`."""
    cost_usd: float
    """Of the calls whose price is known."""
    unpriced_calls: int


class BudgetLevel(Answer):
    subject: str
    per: Period
    unit: Literal["tokens", "usd"]
    amount: float
    used: float
    since: Time
    until: Time


class UsageSummary(Answer):
    object: Literal["usage"] = "usage"
    by: GroupBy
    since: Time
    until: Time
    zone: str
    data: list[UsageSums]
    total: UsageSums
    budgets: list[BudgetLevel]


@record
class UsageEndpoints:
    reports: UsageReports

    @endpoint("GET", "/v1/usage", "What was used", scope="usage", responses=errors(400, 401, 503))
    async def usage(
        self, request: Request, by: GroupBy = "day", since: date | None = None, until: date | None = None, everyone: bool = False
    ) -> UsageSummary:
        """Your own, by day, person, session, model, cause, key or agent; `everyone`: the whole server's, which needs the scope `admin`. `since`,
        `until`: days of your zone, the last one included; otherwise this month. `budgets` are those that hold for you now; of those that
        others share (a server's, an agent's, a cause's), only the owner sees what is used, and `everyone`."""
        who = principal(request.scope)
        if everyone:
            who.require("admin")
        made = await self.reports.report(by, who.payer, everyone=everyone, since=since, until=until)
        return UsageSummary(
            by=by,
            since=made.since,  # pyright: ignore[reportArgumentType] - written by `Time`
            until=made.until,  # pyright: ignore[reportArgumentType]
            zone=str(made.zone),
            data=[_sums(group) for group in made.groups],
            total=_sums(made.total),
            budgets=[_level(window, used) for window, used in made.budgets],
        )


def _sums(group: UsageGroup) -> UsageSums:
    usage = group.usage
    return UsageSums(
        name=group.name,
        calls=group.calls,
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
        total_tokens=group.tokens,
        cached_tokens=usage.cached_tokens,
        cached_share=group.cached_share,
        reasoning_tokens=usage.reasoning_tokens,
        cost_usd=group.cost / NANO,
        unpriced_calls=group.unpriced,
    )


def _level(window: BudgetWindow, used: int) -> BudgetLevel:
    budget, scale = window.budget, 1 if window.budget.unit == "tokens" else NANO
    return BudgetLevel(
        subject=budget.subject,
        per=budget.period,
        unit=budget.unit,
        amount=budget.amount / scale,
        used=used / scale,
        since=window.start,  # pyright: ignore[reportArgumentType] - as above
        until=window.end,  # pyright: ignore[reportArgumentType]
    )
