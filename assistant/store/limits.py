"""Counts what principals use, in the store. The contract is `assistant.contracts.access.Limiter`.

Exact: each check and the note it leads to are one job of the writer, and the writers of all processes take turns. A request is a row that counts
from its admission; its tokens are another row, which counts from their reservation. What an answer took beyond that counts from its end.
"""

import logging
from datetime import datetime
from typing import Final

from assistant.contracts.access import LONGEST_WINDOW, UNLIMITED, Admission, Counted, Limits, LimitStatus, LimitWindow, Measure, NotAdmitted
from assistant.contracts.errors import RateLimited, StoreUnavailable
from assistant.contracts.util import Clock, utc_now
from assistant.store.codec import escape, to_micros
from assistant.store.database import Database, SqlRow, SqlValue, Transaction
from assistant.store.processes import Runner, dead_among

log = logging.getLogger(__name__)

_SECOND: Final = 1_000_000
_LONGEST_REQUEST: Final = 3600 * _SECOND
"""A request that runs longer gives up its place among `parallel`; those of a process that died give it up at once."""
_TRY_PARALLEL_AGAIN: Final = 1.0
"""Seconds; when a running request ends is not known."""
_PER: Final = {60: "a minute", 3_600: "an hour", 86_400: "a day"}

# Times are microseconds. A row with `tokens` 0 is a request; with `until`, it runs, until then at the latest.
_FORGET = "DELETE FROM limit_uses WHERE owner = :owner AND at <= :edge AND (until IS NULL OR until <= :now)"
_FORGET_ALL = "DELETE FROM limit_uses WHERE at <= :edge AND (until IS NULL OR until <= :now) RETURNING seq"
_USES = """
    SELECT COUNT(CASE WHEN tokens = 0 THEN 1 END), COALESCE(MAX(CASE WHEN tokens = 0 THEN at END), 0),
        COALESCE(SUM(tokens), 0), COALESCE(MAX(CASE WHEN tokens > 0 THEN at END), 0)
    FROM limit_uses WHERE owner = :owner AND at > :edge"""
_FREED_REQUESTS = "SELECT at FROM limit_uses WHERE owner = :owner AND at > :edge AND tokens = 0 ORDER BY at LIMIT 1 OFFSET :excess - 1"
_FREED_TOKENS = """
    SELECT at FROM (
        SELECT at, SUM(tokens) OVER (ORDER BY at, seq) AS freed FROM limit_uses WHERE owner = :owner AND at > :edge
    ) AS passing WHERE freed >= :excess ORDER BY at LIMIT 1"""
_RUNNING = "SELECT runner, COUNT(*) FROM limit_uses WHERE owner = :owner AND until > :now GROUP BY runner"
_END_OF_RUNNER = "UPDATE limit_uses SET until = NULL WHERE owner = :owner AND runner = :runner AND until IS NOT NULL"
_ADD = "INSERT INTO limit_uses (owner, at, tokens, runner, until) VALUES (:owner, :at, :tokens, :runner, :until) RETURNING seq"
_SETTLE = "UPDATE limit_uses SET tokens = :tokens WHERE seq = :seq"
_END = "UPDATE limit_uses SET until = NULL WHERE seq = :seq"
_REMOVE = "DELETE FROM limit_uses WHERE seq = :seq"


class StoredLimits:
    """Implements Limiter on a Database."""

    def __init__(self, database: Database, runner: Runner, *, clock: Clock = utc_now) -> None:
        self.database = database
        self.runner = runner
        self.clock = clock

    async def admit(self, owner: str, limits: Limits) -> Admission:
        def count(connection: Transaction) -> tuple[int, LimitStatus] | NotAdmitted:
            uses = self.uses(connection, owner, limits)
            uses.forget_old()
            refusal = uses.refusal("requests", 1) or self._crowded(uses)
            if refusal is not None:
                return NotAdmitted(refusal.message, retry_after=refusal.retry_after, standing=uses.standing())
            return uses.add(self.runner.id), uses.standing()

        counted = await self.database.write(count)
        if isinstance(counted, NotAdmitted):
            raise counted
        return _StoredAdmission(self, owner, limits, *counted)

    async def spend(self, owner: str, limits: Limits, tokens: int) -> Admission:
        windows = tuple(window for window in limits.windows if window.counts == "tokens")
        if not windows:
            return UNLIMITED
        spending = _StoredAdmission(self, owner, Limits(windows=windows), None, LimitStatus())
        await spending.reserve(tokens)
        return spending

    async def sweep(self, now: datetime) -> int:
        """Delete the rows that no window counts any more. Returns how many."""
        values: dict[str, SqlValue] = {"now": to_micros(now), "edge": to_micros(now) - LONGEST_WINDOW * _SECOND}
        return len(await self.database.execute(_FORGET_ALL, values))

    def uses(self, connection: Transaction, owner: str, limits: Limits) -> "_Uses":
        return _Uses(connection, escape(owner), limits, to_micros(self.clock()))

    def _crowded(self, uses: "_Uses") -> RateLimited | None:
        """The refusal where `parallel` requests run already, those of dead processes left out."""
        most = uses.limits.parallel
        if most is None:
            return None
        running = {row[0]: row[1] for row in uses.run(_RUNNING, "owner", "now")}
        if sum(running.values()) >= most:
            for runner in dead_among(self.runner, uses.connection, running):
                uses.run(_END_OF_RUNNER, "owner", runner=runner)
                del running[runner]
        if sum(running.values()) < most:
            return None
        return RateLimited(
            f"This key may have {most} requests running at the same time. Wait for one to end.", retry_after=_TRY_PARALLEL_AGAIN
        )


class _StoredAdmission:
    """Implements Admission."""

    def __init__(self, store: StoredLimits, owner: str, limits: Limits, seq: int | None, standing: LimitStatus) -> None:
        """`seq`: the row of the request; None: this is no request."""
        self._store = store
        self._owner = owner
        self._limits = limits
        self._seq = seq
        self.standing = standing
        self._tokens: int | None = None
        """The row of the reserved tokens."""
        self._reserved = 0
        self._used = 0
        self._ended = False

    async def reserve(self, tokens: int) -> None:
        most = min((window.limit for window in self._limits.windows if window.counts == "tokens"), default=None)
        if most is None or self._ended:
            return
        wanted = max(1, min(tokens, most))

        def take(connection: Transaction) -> tuple[int, LimitStatus] | RateLimited:
            uses = self._store.uses(connection, self._owner, self._limits)
            refusal = uses.refusal("tokens", wanted)
            if refusal is None:
                return uses.add(self._store.runner.id, tokens=wanted), uses.standing()
            if self._seq is not None:
                uses.run(_REMOVE, seq=self._seq)
            return refusal

        taken = await self._store.database.write(take)
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
        counts = self._limits.counts("tokens") and self._used != self._reserved
        if not counts and self._limits.parallel is None:
            return

        def settle(connection: Transaction) -> None:
            uses = self._store.uses(connection, self._owner, self._limits)
            if counts:
                self._settle_tokens(uses)
            if self._seq is not None:
                uses.run(_END, seq=self._seq)

        try:
            await self._store.database.write(settle)
        except StoreUnavailable:  # the answer stands; the reservation keeps counting for its window
            log.warning("limits.not_settled use=%s", self._seq)

    def _settle_tokens(self, uses: "_Uses") -> None:
        if self._used > self._reserved:
            uses.add(self._store.runner.id, tokens=self._used - self._reserved)
        elif self._tokens is not None and self._used:
            uses.run(_SETTLE, seq=self._tokens, tokens=self._used)
        elif self._tokens is not None:  # a row without tokens would be a request
            uses.run(_REMOVE, seq=self._tokens)


class _Uses:
    """What an owner used, within one transaction."""

    def __init__(self, connection: Transaction, owner: str, limits: Limits, now: int) -> None:
        self.connection = connection
        self.limits = limits
        self._now = now
        self._values: dict[str, SqlValue] = {"owner": owner, "now": now}

    def forget_old(self) -> None:
        longest = max(LONGEST_WINDOW, *(window.seconds for window in self.limits.windows), 0)
        self.run(_FORGET, "owner", "now", edge=self._now - longest * _SECOND)

    def refusal(self, counts: Counted, wanted: int) -> RateLimited | None:
        """The refusal with the longest wait where so many more are too many in a window."""
        refused = [self._refusal(window, wanted) for window in self.limits.windows if window.counts == counts]
        return max(filter(None, refused), key=lambda refusal: refusal.retry_after or 0, default=None)

    def _refusal(self, window: LimitWindow, wanted: int) -> RateLimited | None:
        taken, _ = self._taken(window)
        excess = taken + wanted - window.limit
        if excess <= 0:
            return None
        requests, per = window.counts == "requests", _PER.get(window.seconds, f"in {window.seconds} s")
        freed = self.run(_FREED_REQUESTS if requests else _FREED_TOKENS, "owner", edge=self._edge(window), excess=excess)
        if requests:
            words = f"This key may send {window.limit} requests {per}. Wait, then try again."
        else:
            left = max(0, window.limit - taken)
            words = f"This key may use {window.limit} tokens {per}: {left} are left now, and this request may need {wanted}."
            words += " Wait, or ask for less."
        return RateLimited(words, retry_after=self._until(freed[0][0], window))

    def add(self, runner: str, *, tokens: int = 0) -> int:
        """Note a request, or tokens. Returns the row."""
        runs = not tokens and self.limits.parallel is not None
        until = self._now + _LONGEST_REQUEST if runs else None
        return self.run(_ADD, "owner", at=self._now, tokens=tokens, runner=runner, until=until)[0][0]

    def standing(self) -> LimitStatus:
        """Of several windows that count the same, the one with the least left."""
        least: dict[Counted, Measure] = {}
        for window in self.limits.windows:
            taken, last = self._taken(window)
            reset = self._until(last, window) if taken else 0.0
            measure = Measure(limit=window.limit, remaining=max(0, window.limit - taken), reset=reset)
            if window.counts not in least or measure.remaining < least[window.counts].remaining:
                least[window.counts] = measure
        return LimitStatus(requests=least.get("requests"), tokens=least.get("tokens"))

    def run(self, statement: str, *names: str, **more: SqlValue) -> list[SqlRow]:
        return self.connection.execute(statement, {**{name: self._values[name] for name in names}, **more})

    def _taken(self, window: LimitWindow) -> tuple[int, int]:
        """How much was taken in the window, and when the last of it."""
        requests, last_request, tokens, last_tokens = self.run(_USES, "owner", edge=self._edge(window))[0]
        return (requests, last_request) if window.counts == "requests" else (int(tokens), last_tokens)

    def _edge(self, window: LimitWindow) -> int:
        return self._now - window.seconds * _SECOND

    def _until(self, at: int, window: LimitWindow) -> float:
        """Seconds until what was counted then leaves the window."""
        return max(0, at - self._edge(window)) / _SECOND
