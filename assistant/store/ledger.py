"""The ledger: a row for each model call; and what is used of budgets, reserved before a call and settled after it.

Exact: a reservation is one job of the writer, and the writers of all processes take turns. `budget_windows` holds the sums of the ledger's rows for
those who have a budget: it is made from them when a window is first needed, and kept by the same writes.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from datetime import datetime, tzinfo
from functools import partial
from typing import Final

from assistant.contracts.errors import StoreUnavailable, traceback_location
from assistant.contracts.ledger import Budget, BudgetWindow, GroupBy, ModelCall, Period, Reservation, Shortage, UsageGroup
from assistant.contracts.messages import Usage
from assistant.contracts.util import Clock, utc_now
from assistant.store.codec import escape, from_micros, to_micros, unescape
from assistant.store.database import Database, SqlValue, Transaction
from assistant.store.processes import Runner, dead_among

log = logging.getLogger(__name__)

# Times are microseconds, money is nanodollars.
ADD = """
    INSERT INTO ledger (id, at, owner, caller, session, agent, cause, cause_id, operation, provider, model,
        prompt_tokens, completion_tokens, cached_tokens, reasoning_tokens, cost, cost_source, state, estimate, runner)
    VALUES (:id, :at, :owner, :caller, :session, :agent, :cause, :cause_id, :operation, :provider, :model,
        :prompt, :completion, :cached, :reasoning, :cost, :source, :state, :estimate, :runner)
    ON CONFLICT (at, id) DO NOTHING"""
SETTLE = """
    UPDATE ledger SET prompt_tokens = :prompt, completion_tokens = :completion, cached_tokens = :cached, reasoning_tokens = :reasoning,
        cost = :cost, cost_source = :source, state = :state, runner = NULL
    WHERE at = :at AND id = :id AND state = 'reserved' RETURNING id"""
RELEASE = "DELETE FROM ledger WHERE at = :at AND id = :id AND state = 'reserved' RETURNING id"
RESERVED_BY = "SELECT DISTINCT runner FROM ledger WHERE state = 'reserved'"
ABANDON = "UPDATE ledger SET state = 'abandoned', runner = NULL WHERE state = 'reserved' AND runner = :runner RETURNING id"
PURGE = "DELETE FROM ledger WHERE at < :before AND state <> 'reserved' RETURNING id"
WINDOW = "SELECT tokens, cost, noticed FROM budget_windows WHERE subject = :subject AND period = :period AND start = :start"
OPEN_WINDOW = """
    INSERT INTO budget_windows (subject, period, start, tokens, cost, noticed) VALUES (:subject, :period, :start, :tokens, :cost, 0)"""
CHARGE = """
    UPDATE budget_windows SET tokens = tokens + :tokens, cost = cost + :cost
    WHERE subject = :subject AND period = :period AND start = :start"""
NOTICED = "UPDATE budget_windows SET noticed = 1 WHERE subject = :subject AND period = :period AND start = :start"
FORGET_WINDOWS = "DELETE FROM budget_windows WHERE start < :before"
FORGET_WINDOWS_OF = "DELETE FROM budget_windows WHERE subject = :subject"
BUDGETS = "SELECT subject, period, unit, amount FROM budgets ORDER BY subject, period, unit"
SET_BUDGET = """
    INSERT INTO budgets (subject, period, unit, amount) VALUES (:subject, :period, :unit, :amount)
    ON CONFLICT (subject, period, unit) DO UPDATE SET amount = excluded.amount"""
REMOVE_BUDGETS = "DELETE FROM budgets WHERE subject = :subject RETURNING subject"
_OF: Final = {"person": "owner", "key": "caller", "agent": "agent", "cause": "cause"}
"""The column that holds a subject's name; a key's is its principal's, "key:<id>"."""
_LATER: Final = 1.0
"""Seconds until a row that could not be written is tried again."""


def used_of(kind: str) -> str:
    """The statement that sums what a subject of this kind used since `start`."""
    whose = f" AND {_OF[kind]} = :name" if kind in _OF else ""
    sums = "COALESCE(SUM(prompt_tokens + completion_tokens), 0), COALESCE(SUM(cost), 0)"
    return f"SELECT {sums} FROM ledger WHERE at >= :start{whose}"  # noqa: S608 - columns of this module


_GROUPS: Final[Mapping[GroupBy, str]] = {
    "person": "owner",
    "session": "session",
    "model": "provider || '/' || model",
    "cause": "cause",
    "day": "at / 900000000",
    "key": "caller",
    "agent": "agent",
}
"""A day is summed from quarters of an hour, since every zone's days begin at one."""
_QUARTER: Final = 900_000_000


def usage_by(by: GroupBy, *, everyone: bool) -> str:
    """The statement that sums what was used, group by group. Calls that run are left out: what they take is not known yet."""
    whose = "" if everyone else " AND owner = :owner"
    return f"""
        SELECT {_GROUPS[by]}, COUNT(*), SUM(prompt_tokens), SUM(completion_tokens), SUM(cached_tokens), SUM(reasoning_tokens),
            COALESCE(SUM(cost), 0), SUM(CASE WHEN cost IS NULL THEN 1 ELSE 0 END)
        FROM ledger WHERE at >= :since AND at < :until AND state <> 'reserved'{whose} GROUP BY 1"""  # noqa: S608 - expressions of this module


class LedgerStore:
    """The ledger and the budgets on a Database."""

    def __init__(self, database: Database, runner: Runner, *, clock: Clock = utc_now) -> None:
        self._database = database
        self._runner = runner
        self._clock = clock

    def keep(self, call: ModelCall | None, held: Reservation | None, at: int = 0) -> None:
        """Write a call's row in the commit of whatever is written next, or in a twentieth of a second; in place of its reservation, where it has
        one. None: it took nothing, and the reservation is given back. A store that fails is tried again. `at`: of an earlier try."""
        at = at or to_micros(self._clock())
        self._database.soon(partial(self._settle, call, held, at), partial(self._try_later, call, held, at))

    async def keep_now(self, call: ModelCall | None, held: Reservation | None) -> None:
        """`keep` for a call that no other write follows: returns once it is written, and kept if the process dies. Where the store fails, it is tried
        again later."""
        at = to_micros(self._clock())
        try:
            await self._database.write(partial(self._settle, call, held, at), relaxed=True)
        except StoreUnavailable as error:  # the answer is there, and is given
            self._try_later(call, held, at, error)

    async def reserve(self, call: ModelCall, windows: Sequence[BudgetWindow]) -> Reservation | Shortage:
        """Count an estimated call in all of its windows, or in none. Raises StoreUnavailable."""
        return await self._database.write(partial(self._reserve, call, windows))

    async def levels(self, windows: Sequence[BudgetWindow]) -> Sequence[int]:
        """What is used of each, running calls included."""

        def look(connection: Transaction) -> list[int]:
            return [self._sums(connection, _key(window))[window.budget.unit] for window in windows]

        return await self._database.write(look) if windows else ()

    async def noticed(self, window: BudgetWindow) -> None:
        """Someone was told that most of this window is used."""
        await self._database.execute(NOTICED, _key(window))

    async def recover(self) -> int:
        """Settle the reservations of dead processes: what their calls took is unknown, so they count as estimated. Returns how many."""

        def abandon(connection: Transaction) -> int:
            running = [row[0] for row in connection.execute(RESERVED_BY)]
            dead = dead_among(self._runner, connection, running)
            return sum(len(connection.execute(ABANDON, {"runner": runner})) for runner in dead)

        return await self._database.write(abandon)

    async def purge(self, before: datetime) -> int:
        """Remove the rows of calls made before. Returns how many."""
        return len(await self._database.execute(PURGE, {"before": to_micros(before)}))

    async def forget_windows(self, before: datetime) -> None:
        """Remove the sums of windows that began before; those that are needed again are made anew from the ledger."""
        await self._database.execute(FORGET_WINDOWS, {"before": to_micros(before)})

    async def usage(self, by: GroupBy, *, owner: str | None, since: datetime, until: datetime, zone: tzinfo) -> Sequence[UsageGroup]:
        """What was used from `since` to before `until`, the most first, days in order. `owner` None: everyone's. `zone`: whose days these are."""
        values: dict[str, SqlValue] = {"since": to_micros(since), "until": to_micros(until)}
        if owner is not None:
            values["owner"] = escape(owner)
        groups: dict[str, UsageGroup] = {}
        for name, calls, prompt, completion, cached, reasoning, cost, unpriced in await self._database.select(
            usage_by(by, everyone=owner is None), values
        ):
            label = f"{from_micros(int(name) * _QUARTER).astimezone(zone):%Y-%m-%d}" if by == "day" else unescape(name)
            usage = Usage(
                prompt_tokens=int(prompt), completion_tokens=int(completion), cached_tokens=int(cached), reasoning_tokens=int(reasoning)
            )
            group = UsageGroup(name=label, calls=int(calls), usage=usage, cost=int(cost), unpriced=int(unpriced))
            groups[label] = groups[label] + group if label in groups else group
        if by == "day":
            return [groups[day] for day in sorted(groups)]
        return sorted(groups.values(), key=lambda group: (-group.cost, -group.tokens, group.name))

    async def budgets(self) -> Sequence[Budget]:
        """Those that were set by a command, by subject."""
        found = await self._database.select(BUDGETS)
        return [Budget(subject=unescape(subject), period=period, unit=unit, amount=amount) for subject, period, unit, amount in found]

    async def set_budget(self, budget: Budget) -> None:
        """In place of the one that this subject has for the same period and unit."""
        values: dict[str, SqlValue] = {
            "subject": escape(budget.subject),
            "period": budget.period,
            "unit": budget.unit,
            "amount": budget.amount,
        }

        def write(connection: Transaction) -> None:
            connection.execute(SET_BUDGET, values)
            # Its sums may be of a time when it had no budget, and so lack what was used since.
            connection.execute(FORGET_WINDOWS_OF, {"subject": values["subject"]})

        await self._database.write(write)

    async def remove_budgets(self, subject: str) -> int:
        """All of a subject's. Returns how many there were."""
        return len(await self._database.execute(REMOVE_BUDGETS, {"subject": escape(subject)}))

    def _settle(self, call: ModelCall | None, held: Reservation | None, at: int, connection: Transaction) -> None:
        if held is None:
            if call is not None:
                connection.execute(ADD, {**_values(call), "at": at, "estimate": 0, "runner": None})
            return
        used, cost = (0, 0) if call is None else (call.usage.prompt_tokens + call.usage.completion_tokens, call.cost or 0)
        row: dict[str, SqlValue] = {"at": held.at, "id": held.id}
        settled = connection.execute(RELEASE, row) if call is None else connection.execute(SETTLE, {**_values(call), **row})
        if settled:  # else another process took this one for dead: the estimate counts
            for subject, period, start in held.windows:
                key: dict[str, SqlValue] = {"subject": escape(subject), "period": period, "start": to_micros(start)}
                connection.execute(CHARGE, {**key, "tokens": used - held.tokens, "cost": cost - held.cost})

    def _reserve(self, call: ModelCall, windows: Sequence[BudgetWindow], connection: Transaction) -> Reservation | Shortage:
        wanted = {"tokens": call.usage.prompt_tokens + call.usage.completion_tokens, "usd": call.cost or 0}
        sums: dict[tuple[SqlValue, ...], dict[str, int]] = {}
        near: list[BudgetWindow] = []
        for window in windows:
            key = _key(window)
            if (name := tuple(key.values())) not in sums:
                sums[name] = self._sums(connection, key)
            used, unit = sums[name], window.budget.unit
            if used[unit] + wanted[unit] > window.most:
                return Shortage(window=window, used=used[unit], wanted=wanted[unit])
            if not used["noticed"] and (used[unit] + wanted[unit]) * 5 >= window.budget.amount * 4:
                near.append(window)
        for subject, period, start in sums:
            charge: dict[str, SqlValue] = {"subject": subject, "period": period, "start": start}
            connection.execute(CHARGE, {**charge, "tokens": wanted["tokens"], "cost": wanted["usd"]})
        at = to_micros(self._clock())
        row = {
            **_values(call),
            "at": at,
            "state": "reserved",
            "estimate": wanted["tokens"],
            "runner": self._runner.id,
        }
        connection.execute(ADD, row)
        charged: dict[tuple[str, Period, datetime], None] = {
            (each.budget.subject, each.budget.period, each.start): None for each in windows
        }
        return Reservation(id=call.id, at=at, tokens=wanted["tokens"], cost=wanted["usd"], windows=tuple(charged), near=tuple(near))

    def _sums(self, connection: Transaction, key: dict[str, SqlValue]) -> dict[str, int]:
        rows = connection.execute(WINDOW, key)
        if not rows:
            kind, _, name = str(key["subject"]).partition(":")
            values: dict[str, SqlValue] = {"start": key["start"]}
            if kind in _OF:
                values["name"] = f"key:{name}" if kind == "key" else name
            tokens, cost = connection.execute(used_of(kind), values)[0]
            connection.execute(OPEN_WINDOW, {**key, "tokens": int(tokens), "cost": int(cost)})
            rows = [(int(tokens), int(cost), 0)]
        return dict(zip(("tokens", "usd", "noticed"), rows[0], strict=True))

    def _try_later(self, call: ModelCall | None, held: Reservation | None, at: int, error: Exception) -> None:
        use = held or call
        if not isinstance(error, StoreUnavailable):
            log.error("ledger.bug use=%s error=%s", use.id if use else "", traceback_location(error))
            return
        log.warning("ledger.not_written use=%s code=%s again=%s", use.id if use else "", error.code, not self._database.closed)
        if not self._database.closed:
            asyncio.get_running_loop().call_later(_LATER, self.keep, call, held, at)


def _key(window: BudgetWindow) -> dict[str, SqlValue]:
    return {"subject": escape(window.budget.subject), "period": window.budget.period, "start": to_micros(window.start)}


def _values(call: ModelCall) -> dict[str, SqlValue]:
    payer, usage = call.payer, call.usage
    return {
        "id": call.id,
        "prompt": usage.prompt_tokens,
        "completion": usage.completion_tokens,
        "cached": usage.cached_tokens,
        "reasoning": usage.reasoning_tokens,
        "cost": call.cost,
        "source": call.source,
        "state": call.state,
        "owner": escape(payer.owner),
        "caller": escape(payer.caller),
        "session": escape(payer.session),
        "agent": escape(payer.agent),
        "cause": payer.cause.kind,
        "cause_id": escape(payer.cause.id),
        "operation": call.operation,
        "provider": call.provider,
        "model": escape(call.model),
    }
