"""What was used, for people: what a report covers, its budgets, and both in words."""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from assistant.contracts.causes import Payer
from assistant.contracts.errors import InvalidRequest
from assistant.contracts.ledger import BudgetWindow, GroupBy, UsageGroup
from assistant.contracts.people import OWNER_ID, OWNER_SHOWN, PeopleDirectory
from assistant.contracts.records import record
from assistant.contracts.util import Clock, utc_now
from assistant.ledger.budgets import BudgetRules, amount, budget_period, calendar, money
from assistant.store.ledger import LedgerStore

_YEARS = range(2000, 2200)
_OWN: Final = ("person:", "key:")


@record
class UsageReport:
    """What was used in some time."""

    zone: ZoneInfo
    since: datetime
    until: datetime
    groups: Sequence[UsageGroup]
    budgets: Sequence[tuple[BudgetWindow, int]] = ()
    """Those that hold for the caller, each with what is used of it."""

    @property
    def total(self) -> UsageGroup:
        return sum(self.groups, UsageGroup(name="total"))


@record
class UsageReports:
    """Makes reports from the ledger."""

    store: LedgerStore
    budgets: BudgetRules
    people: PeopleDirectory
    clock: Clock = utc_now

    async def report(
        self, by: GroupBy, payer: Payer, *, everyone: bool = False, since: date | None = None, until: date | None = None
    ) -> UsageReport:
        """Of a person, or of `everyone`. Days are those of the person's zone, the last one included; since None: of this month.

        Raises InvalidRequest for days beyond reason, StoreUnavailable."""
        zone, now = await self.people.zone(payer.owner), self.clock()
        if any(day is not None and day.year not in _YEARS for day in (since, until)):
            raise InvalidRequest("'since' and 'until' are days, such as 2026-11-29.", param="since")
        begin = calendar("month", now, zone)[0] if since is None else datetime.combine(since, time(), zone).astimezone(UTC)
        end = now + timedelta(days=1) if until is None else datetime.combine(until + timedelta(days=1), time(), zone).astimezone(UTC)
        groups = await self.store.usage(by, owner=None if everyone else payer.owner, since=begin, until=end, zone=zone)
        windows = await self.budgets.windows(payer)
        if not everyone and payer.owner != OWNER_ID:  # what is used of those that all share says what the others use
            windows = [window for window in windows if window.budget.subject.startswith(_OWN)]
        used = await self.store.levels(windows)
        return UsageReport(zone=zone, since=begin, until=end, groups=groups, budgets=tuple(zip(windows, used, strict=True)))

    async def summary(self, payer: Payer) -> str:
        """In Markdown, for a chat: today, this month, and the budgets."""
        today = self.clock().astimezone(await self.people.zone(payer.owner)).date()
        day, month = await self.report("model", payer, since=today), await self.report("model", payer)
        lines = [f"- Today: {in_words(day.total)}", f"- This month: {in_words(month.total)}"]
        lines += [f"    - {group.name}: {in_words(group)}" for group in month.groups[:5]]
        return "\n".join([*lines, *[f"- {level_in_words(window, used, month.zone)}" for window, used in month.budgets]])


def in_words(group: UsageGroup) -> str:
    cached = f", {group.cached_share:.0%} of the prompts from the cache" if group.usage.cached_tokens else ""
    unpriced = f" (without {group.unpriced} of unknown price)" if group.unpriced and group.cost else ""
    cost = "of unknown price" if group.unpriced == group.calls and group.calls else f"{money(group.cost)}{unpriced}"
    return f"{group.tokens:,} tokens in {group.calls:,} call{'' if group.calls == 1 else 's'}{cached}, {cost}"


def level_in_words(window: BudgetWindow, used: int, zone: ZoneInfo) -> str:
    budget = window.budget
    until = f"{window.end.astimezone(zone):%Y-%m-%d %H:%M} {zone}"
    spent = amount(budget.unit, used).removesuffix(" tokens")
    subject = f"person:{OWNER_SHOWN}" if budget.subject == f"person:{OWNER_ID}" else budget.subject
    return f"Budget ({subject}): {spent} of {amount(budget.unit, budget.amount)} {budget_period(budget.period)}, anew at {until}"


def bars(groups: Sequence[UsageGroup], weight: Callable[[UsageGroup], int], width: int = 20) -> list[str]:
    """A bar for each group, the longest of `width` blocks."""
    most = max(map(weight, groups), default=0) or 1
    return ["█" * max(weight(group) > 0, round(width * weight(group) / most)) for group in groups]
