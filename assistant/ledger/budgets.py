"""Budgets: which hold for a call, since when their hour, day or month runs, and what is said where one is used up."""

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Annotated, Final

from pydantic import Field, model_validator

from assistant.contracts.causes import Payer
from assistant.contracts.errors import InvalidRequest, StoreUnavailable
from assistant.contracts.ledger import BACKGROUND, NANO, Budget, BudgetUsedUp, BudgetWindow, Period, Shortage, Unit
from assistant.contracts.people import OWNER_ID, OWNER_SHOWN, PeopleDirectory
from assistant.contracts.util import Clock, Settings, utc_now
from assistant.store.ledger import LedgerStore

log = logging.getLogger(__name__)

SUBJECT: Final = (
    r"^(all|person|key|agent|role:(owner|user|guest)|(person|key|agent):.{1,300}"
    r"|cause:(message|schedule|task|job|memory|compaction|voice))$"
)
_FRESH_SECONDS: Final = 2.0
"""A budget that another process sets holds here after so long."""


class BudgetSettings(Settings):
    """What someone or something may use. Calls of models are refused when it is used up."""

    of: Annotated[str, Field(pattern=SUBJECT)]
    """Whose: `"person:<id>"`, `"key:<id>"`, `"agent:<name>"`, `"cause:<kind>"` (message, schedule, task, job, memory, compaction, voice) or
    `"all"`, the whole server. Defaults for each that has none of its own: `"person"`, `"role:guest"` (also user, owner), `"key"`, `"agent"`."""
    per: Period = "day"
    """`"hour"`, `"day"` or `"month"`: of the calendar, by the person's own clock."""
    tokens: Annotated[int | None, Field(ge=1, le=10**15)] = None
    """Of prompts and answers together."""
    usd: Annotated[float | None, Field(gt=0, le=10**9)] = None
    """US dollars. Calls whose price is unknown do not count."""

    @model_validator(mode="after")
    def _limits_something(self) -> "BudgetSettings":
        if self.tokens is None and self.usd is None:
            raise ValueError("needs tokens or usd")
        return self

    def budgets(self) -> list[Budget]:
        amounts: list[tuple[Unit, int | None]] = [("tokens", self.tokens), ("usd", None if self.usd is None else round(self.usd * NANO))]
        of = f"person:{OWNER_ID}" if self.of == f"person:{OWNER_SHOWN}" else self.of
        return [Budget(subject=of, period=self.per, unit=unit, amount=amount) for unit, amount in amounts if amount is not None]


class UsageSettings(Settings):
    """`usage` in the configuration."""

    keep_days: Annotated[int, Field(ge=62)] = 400
    """How long the ledger keeps what each call of a model took."""


class BudgetRules:
    """The configured budgets and those set by commands, which win."""

    def __init__(
        self,
        configured: Iterable[BudgetSettings],
        store: LedgerStore,
        people: PeopleDirectory,
        *,
        clock: Clock = utc_now,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._configured = [budget for settings in configured for budget in settings.budgets()]
        self._store = store
        self._people = people
        self._clock = clock
        self._monotonic = monotonic
        self.rules: dict[str, list[Budget]] = {}
        """By subject. Empty: no call needs to ask."""
        self.fresh_until = float("-inf")
        """On the monotonic clock."""

    async def windows(self, payer: Payer) -> Sequence[BudgetWindow]:
        """Those that hold for a call of this payer, as they run now."""
        if (now := self._monotonic()) > self.fresh_until:
            self.fresh_until = now + _FRESH_SECONDS
            await self._read()
        return await self._windows(payer) if self.rules else ()

    async def _read(self) -> None:
        try:
            found = [*self._configured, *await self._store.budgets()]
        except StoreUnavailable as error:
            log.warning("budgets.not_read code=%s", error.code)
            return
        rules: dict[str, dict[tuple[Period, Unit], Budget]] = {}
        for budget in found:
            rules.setdefault(budget.subject, {})[budget.period, budget.unit] = budget
        self.rules = {subject: list(budgets.values()) for subject, budgets in rules.items()}

    async def _windows(self, payer: Payer) -> Sequence[BudgetWindow]:
        own: list[tuple[str, tuple[str, ...]]] = [("all", ("all",)), (f"cause:{payer.cause.kind}", (f"cause:{payer.cause.kind}",))]
        own.append((person := f"person:{payer.owner}", ("person", *await self._role(payer), person)))
        if payer.caller.startswith("key:"):
            own.append((payer.caller, ("key", payer.caller)))
        if payer.agent:
            own.append((agent := f"agent:{payer.agent}", ("agent", agent)))
        zone, now = await self._people.zone(payer.owner), self._clock()
        windows: list[BudgetWindow] = []
        for subject, names in own:
            held: dict[tuple[Period, Unit], Budget] = {}
            for name in names:  # the closest name wins
                held.update({(budget.period, budget.unit): budget for budget in self.rules.get(name, ())})
            by: tzinfo = zone if subject.startswith(("person:", "key:")) else UTC
            for (period, unit), budget in held.items():
                start, end = calendar(period, now, by)
                most = budget.amount * 9 // 10 if payer.cause.kind in BACKGROUND else budget.amount
                mine = Budget(subject=subject, period=period, unit=unit, amount=budget.amount)
                windows.append(BudgetWindow(budget=mine, start=start, end=end, most=most))
        return windows

    async def _role(self, payer: Payer) -> tuple[str, ...]:
        if not any(subject.startswith("role:") for subject in self.rules):
            return ()
        person = await self._people.person(payer.owner)
        return () if person is None else (f"role:{person.role}",)


def calendar(period: Period, now: datetime, zone: tzinfo) -> tuple[datetime, datetime]:
    """The beginning and the end of the hour, day or month that holds `now`; days and months by a zone's clock."""
    if period == "hour":
        start = now.replace(minute=0, second=0, microsecond=0)
        return start, start + timedelta(hours=1)
    here = now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    if period == "day":
        start, end = here, here + timedelta(days=1)
    else:
        start = here.replace(day=1)
        end = (start + timedelta(days=32)).replace(day=1)
    return start.astimezone(UTC), end.astimezone(UTC)


def used_up(short: Shortage, zone: tzinfo, now: datetime) -> BudgetUsedUp:
    """The refusal in words, with when there is room again."""
    window, budget = short.window, short.window.budget
    left = max(0, window.most - short.used)
    until = f"{window.end.astimezone(zone):%Y-%m-%d %H:%M} {zone}"
    name = whose(budget.subject)
    state = "has too little left for this call" if left else "is used up"
    words = f"{name[0].upper()}{name[1:]} {state}: {amount(budget.unit, budget.amount)} {budget_period(budget.period)}"
    if window.most < budget.amount:
        words += f", of which background work may take {amount(budget.unit, window.most)}"
    if left:
        words += f". {amount(budget.unit, left)} are left, and it may need {amount(budget.unit, short.wanted)}"
    return BudgetUsedUp(f"{words}. It is available again at {until}.", retry_after=(window.end - now).total_seconds())


def whose(subject: str) -> str:
    """The budget of a subject, in words for the person whose call it is."""
    kind, _, name = subject.partition(":")
    others = {"all": "this server", "key": "this key", "agent": f"the agent {name}", "cause": f"{name} work"}
    return "your budget" if kind == "person" else f"the budget of {others[kind]}"


def amount(unit: Unit, much: int) -> str:
    return f"{much:,} tokens" if unit == "tokens" else money(much)


def money(nanos: int) -> str:
    """US dollars, with as many digits as a small sum needs."""
    dollars = nanos / NANO
    return f"${dollars:,.2f}" if dollars >= 1 or nanos == 0 else f"${dollars:.4f}" if dollars >= 0.0001 else f"${dollars:.7f}".rstrip("0")


def budget_period(period: Period) -> str:
    return {"hour": "an hour", "day": "a day", "month": "a month"}[period]


def budget_of(subject: str, period: Period, tokens: int | None, usd: float | None) -> list[Budget]:
    """As a command names it. Raises InvalidRequest."""
    try:
        return BudgetSettings(of=subject, per=period, tokens=tokens, usd=usd).budgets()
    except ValueError:
        words = (
            "Name a subject (person:<id>, key:<id>, agent:<name>, cause:<kind>, all, role:guest …) and an amount: tokens, or US dollars."
        )
        raise InvalidRequest(words) from None
