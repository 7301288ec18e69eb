"""The claims that this process holds: renewed together, and every write under one refused when it is lost."""

import asyncio
import logging
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Final

from assistant.contracts.errors import StoreUnavailable
from assistant.contracts.outbox import Claim, OutboundPart, Receipt, Settlement
from assistant.store.outbox import OutboxStore

log = logging.getLogger(__name__)

LEASE: Final = timedelta(seconds=15)
_FIRST_REPEAT: Final = 0.05
_LONGEST_REPEAT: Final = 2.0


class ClaimLost(Exception):
    """Somebody else may be sending the event by now: stop at once."""


class Claims:
    """Writes under claims wait for a store that can't be written now, for as long as the claim is held: a receipt that is not kept would
    mean a second message."""

    def __init__(self, outbox: OutboxStore, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        """`monotonic`: seconds; a clock that goes on while this process is stopped."""
        self._outbox = outbox
        self._monotonic = monotonic
        self._held: dict[str, tuple[int, asyncio.Task[object]]] = {}
        self._sure_until: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._held)

    async def take(self, lane: str) -> Claim | datetime | None:
        """As `OutboxStore.claim`. The lease is counted from before the question: a slow store must not make it look longer."""
        until = self._monotonic() + LEASE.total_seconds()
        claim = await self._outbox.claim(lane, LEASE)
        if isinstance(claim, Claim):
            self._sure_until[claim.event.id] = until
        return claim

    @contextmanager
    def hold(self, claim: Claim) -> Generator[None]:
        """What was just taken, for the task that calls: renewed while the block runs, and the task is cancelled when the claim is lost."""
        task = asyncio.current_task()
        assert task is not None
        self._held[claim.event.id] = (claim.fence, task)
        try:
            yield
        finally:
            if self._held.get(claim.event.id) == (claim.fence, task):
                del self._held[claim.event.id], self._sure_until[claim.event.id]

    def check(self, claim: Claim) -> None:
        """Raises ClaimLost where the lease may have ended by now: a process that was stopped for a while (SIGSTOP, a machine that slept) finds
        this out before it sends, and not by the fence afterwards."""
        if self._monotonic() >= self._sure_until.get(claim.event.id, 0):
            raise ClaimLost

    async def renew(self) -> None:
        """Renew all; cancel whoever works on one that is lost. Raises StoreUnavailable: they stay as they are."""
        held = dict(self._held)
        if not held:
            return
        until = self._monotonic() + LEASE.total_seconds()
        lost = await self._outbox.renew({event_id: fence for event_id, (fence, _) in held.items()}, LEASE)
        self._sure_until |= {event_id: until for event_id in held if event_id not in lost and self._held.get(event_id) == held[event_id]}
        for event_id in lost:
            # One that was settled meanwhile is no longer held, and was not lost.
            if event_id in held and self._held.get(event_id) == held[event_id]:
                log.warning("delivery.claim_lost event=%s", event_id)
                held[event_id][1].cancel()

    async def note(
        self,
        claim: Claim,
        *,
        plan: Sequence[OutboundPart] | None = None,
        receipt: tuple[int, Receipt] | None = None,
        start: int | None = None,
        maybe_duplicate: bool = False,
        settle: Settlement | None = None,
    ) -> None:
        """As `OutboxStore.note`. Raises ClaimLost."""
        delay = _FIRST_REPEAT
        while True:
            try:
                kept = await self._outbox.note(
                    claim, plan=plan, receipt=receipt, start=start, maybe_duplicate=maybe_duplicate, settle=settle
                )
            except StoreUnavailable as error:
                delay = await _before_repeat(claim, error, delay)
            else:
                return _must_be_kept(kept)

    async def unstart(self, claim: Claim, place: int) -> None:
        """As `OutboxStore.unstart`. Raises ClaimLost."""
        delay = _FIRST_REPEAT
        while True:
            try:
                kept = await self._outbox.unstart(claim, place)
            except StoreUnavailable as error:
                delay = await _before_repeat(claim, error, delay)
            else:
                return _must_be_kept(kept)


async def _before_repeat(claim: Claim, error: StoreUnavailable, delay: float) -> float:
    log.warning("delivery.not_noted event=%s code=%s delay=%.2f", claim.event.id, error.code, delay)
    await asyncio.sleep(delay)
    return min(_LONGEST_REPEAT, delay * 2)


def _must_be_kept(kept: bool) -> None:
    if not kept:
        raise ClaimLost
