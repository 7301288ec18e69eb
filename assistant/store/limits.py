"""What principals asked for in the last minute, counted in the store. The contract is `assistant.contracts.access.Limiter`.

Exact: each look, decision and note is one job of the writer, and writers of all processes take turns. A request is a row that counts for 60
seconds from its admission; its tokens are another, that counts from when they were reserved, however late in the request that was. What an answer
took beyond that counts from its end.
"""

import logging
from datetime import datetime
from typing import Final

from assistant.contracts.access import UNLIMITED, Admission, Limits, LimitStatus, Measure, NotAdmitted
from assistant.contracts.errors import RateLimited, StoreUnavailable
from assistant.contracts.util import Clock, utc_now
from assistant.store import key_statements as sql
from assistant.store.codec import escape, to_micros
from assistant.store.database import Database, SqlRow, SqlValue, Transaction
from assistant.store.runners import Runner

log = logging.getLogger(__name__)

_MINUTE: Final = 60_000_000
_LONGEST: Final = 3600_000_000
"""A request that runs longer gives its place up. Those of a process that died give theirs up at once."""
_TRY_PARALLEL_AGAIN: Final = 1.0
"""Seconds; nobody knows when one of those that run will end."""


class StoredLimits:
    """Implements Limiter on a Database."""

    def __init__(self, database: Database, runner: Runner, *, clock: Clock = utc_now) -> None:
        self._database = database
        self._runner = runner
        self._clock = clock

    async def admit(self, owner: str, limits: Limits) -> Admission:
        name = escape(owner)

        def count(connection: Transaction) -> tuple[int, LimitStatus] | NotAdmitted:
            window = _Window(connection, name, limits, to_micros(self._clock()))
            refusal = window.refusal() or (self._crowded(window) if limits.parallel is not None else None)
            if refusal is not None:
                return NotAdmitted(refusal.message, retry_after=refusal.retry_after, standing=window.standing())
            return window.add(self._runner.id), window.standing()

        counted = await self._database.write(count)
        if isinstance(counted, NotAdmitted):
            raise counted
        return _Counted(self._database, self._runner.id, name, limits, counted, self._clock)

    async def spend(self, owner: str, limits: Limits, tokens: int) -> Admission:
        if limits.tokens is None:
            return UNLIMITED
        spending = _Counted(
            self._database, self._runner.id, escape(owner), Limits(tokens=limits.tokens), (None, LimitStatus()), self._clock
        )
        await spending.reserve(tokens)
        return spending

    async def sweep(self, now: datetime) -> int:
        """Forget what counts no more, of principals who do not come back. Returns how many requests that were."""
        values: dict[str, SqlValue] = {"now": to_micros(now), "edge": to_micros(now) - _MINUTE}
        return len(await self._database.write(lambda connection: connection.execute(sql.FORGET_ALL_USES + " RETURNING seq", values)))

    def _crowded(self, window: "_Window") -> RateLimited | None:
        """Whether as many run as may, those of dead processes left out."""
        most = window.limits.parallel or 0
        running = window.running()
        if sum(running.values()) < most:
            return None
        for runner in [each for each in running if each != self._runner.id]:
            if self._runner.is_dead(window.connection, runner):
                window.forget_running(runner)
                del running[runner]
        if sum(running.values()) < most:
            return None
        return RateLimited(
            f"This key may have {most} requests running at the same time. Wait for one to end.", retry_after=_TRY_PARALLEL_AGAIN
        )


class _Counted:
    """Implements Admission."""

    def __init__(
        self, database: Database, runner: str, owner: str, limits: Limits, counted: tuple[int | None, LimitStatus], clock: Clock
    ) -> None:
        """`counted`: the row of the request, if it is one."""
        self._database = database
        self._runner = runner
        self._owner = owner
        self._limits = limits
        self._seq, self.standing = counted
        self._clock = clock
        self._tokens: int | None = None
        """The row of what was reserved."""
        self._reserved = 0
        self._used = 0
        self._ended = False

    async def reserve(self, tokens: int) -> None:
        most = self._limits.tokens
        if most is None or self._ended:
            return
        wanted = max(1, min(tokens, most))

        def take(connection: Transaction) -> tuple[int, LimitStatus] | RateLimited:
            window = self._window(connection)
            refusal = window.too_many(wanted)
            if refusal is None:
                return window.add(self._runner, tokens=wanted), window.standing()
            if self._seq is not None:
                window.remove(self._seq)
            return refusal

        taken = await self._database.write(take)
        if isinstance(taken, RateLimited):
            self._ended = True
            raise taken
        (self._tokens, self.standing), self._reserved = taken, wanted

    def used(self, tokens: int) -> None:
        self._used = max(0, tokens)

    def broke_off(self, tokens: int) -> None:
        self._used = max(tokens, self._reserved) if tokens > 0 else 0

    async def end(self) -> None:
        if self._ended:
            return
        self._ended = True
        counts = self._limits.tokens is not None and self._used != self._reserved
        if not counts and self._limits.parallel is None:
            return

        def settle(connection: Transaction) -> None:
            window = self._window(connection)
            if counts:
                window.settle(self._tokens, self._reserved, self._used, self._runner)
            if self._seq is not None:
                window.end(self._seq)

        try:
            await self._database.write(settle)
        except StoreUnavailable:  # the answer is there all the same; what was reserved counts on, for its minute
            log.warning("limits.not_settled use=%s", self._seq)

    def _window(self, connection: Transaction) -> "_Window":
        return _Window(connection, self._owner, self._limits, to_micros(self._clock()))


class _Window:
    """The last minute of a principal, within one transaction."""

    def __init__(self, connection: Transaction, owner: str, limits: Limits, now: int) -> None:
        self.connection = connection
        self.limits = limits
        self._now = now
        self._who: dict[str, SqlValue] = {"owner": owner, "now": now, "edge": now - _MINUTE}

    def refusal(self) -> RateLimited | None:
        """Whether one more request is one too many."""
        self._run(sql.FORGET_USES, "owner", "edge", "now")
        most = self.limits.requests
        if most is None:
            return None
        many: int = self._run(sql.USES, "owner", "edge")[0][0]
        if many < most:
            return None
        freed: int = self._run(sql.FREED_REQUEST, "owner", "edge", place=many - most)[0][0]
        return RateLimited(f"This key may send {most} requests a minute. Wait, then try again.", retry_after=self._until(freed))

    def add(self, runner: str, *, tokens: int = 0) -> int:
        """Note a request; or tokens."""
        runs = not tokens and self.limits.parallel is not None
        until = self._now + _LONGEST if runs else None
        return self._run(sql.ADD_USE, "owner", at=self._now, tokens=tokens, runner=runner, until=until)[0][0]

    def too_many(self, tokens: int) -> RateLimited | None:
        """Whether so many more tokens are too many."""
        most = self.limits.tokens or 0
        taken: int = int(self._run(sql.USES, "owner", "edge")[0][2])
        excess = taken + tokens - most
        if excess <= 0:
            return None
        freed: int = self._run(sql.FREED_TOKENS, "owner", "edge", excess=excess)[0][0]
        left = max(0, most - taken)
        words = f"This key may use {most} tokens a minute: {left} are left now, and this request may need {tokens}."
        return RateLimited(f"{words} Wait, or ask for less.", retry_after=self._until(freed))

    def settle(self, seq: int | None, reserved: int, used: int, runner: str) -> None:
        """`seq`: of what was reserved."""
        if used > reserved:
            self.add(runner, tokens=used - reserved)
        elif seq is not None and used:
            self._run(sql.SETTLE_TOKENS, seq=seq, tokens=used)
        elif seq is not None:  # a row without tokens would be a request
            self.remove(seq)

    def end(self, seq: int) -> None:
        self._run(sql.END_USE, seq=seq)

    def remove(self, seq: int) -> None:
        self._run(sql.REMOVE_USE, seq=seq)

    def running(self) -> dict[str, int]:
        """How many requests run, by process."""
        return {row[0]: row[1] for row in self._run(sql.RUNNING_USES, "owner", "now")}

    def forget_running(self, runner: str) -> None:
        self._run(sql.END_USES_OF, "owner", runner=runner)

    def standing(self) -> LimitStatus:
        requests, last, tokens, last_tokens = self._run(sql.USES, "owner", "edge")[0]
        return LimitStatus(
            requests=self._measure(self.limits.requests, requests, last), tokens=self._measure(self.limits.tokens, int(tokens), last_tokens)
        )

    def _measure(self, limit: int | None, taken: int, last: int) -> Measure | None:
        if limit is None:
            return None
        return Measure(limit=limit, remaining=max(0, limit - taken), reset=self._until(last) if taken else 0.0)

    def _until(self, at: int) -> float:
        """Seconds until what was counted then counts no more."""
        return max(0, at + _MINUTE - self._now) / 1_000_000

    def _run(self, statement: str, *names: str, **more: SqlValue) -> list[SqlRow]:
        return self.connection.execute(statement, {**{name: self._who[name] for name in names}, **more})
