"""One attempt at an event: plan, and then part after part, each noted as started before it is sent and with its receipt after.

A message in one part costs three transactions: the claim, the plan with the start, the receipt with the settlement.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from hashlib import blake2b
from itertools import count
from typing import Concatenate, Final, ParamSpec

from assistant.contracts.channels import Channel, SendFailed, Sending, SendLater, SendRefused, SendUnclear
from assistant.contracts.errors import StoreUnavailable, traceback_location
from assistant.contracts.metrics import DELIVERIES, Metrics
from assistant.contracts.outbox import Claim, DeliveryError, Media, OutboundPart, PartState, Receipt, Settlement
from assistant.contracts.records import record
from assistant.contracts.util import Clock, backoff
from assistant.delivery.retry import Next, RetryPause, Trial, after
from assistant.delivery.settings import DeliverySettings
from assistant.store.outbox import OutboxStore

log = logging.getLogger(__name__)

P = ParamSpec("P")

LEASE: Final = timedelta(seconds=15)


class ClaimLost(Exception):
    """The lease may have ended: another process may be sending the event. Stop at once."""


class Claims:
    """The claims of this process, renewed together. Writes under a claim are retried while the store is unavailable and the claim is held: a lost
    receipt would mean a second message."""

    def __init__(self, outbox: OutboxStore, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        """`monotonic`: seconds; keeps counting while this process is stopped."""
        self.outbox = outbox
        self._monotonic = monotonic
        self._held: dict[str, tuple[int, asyncio.Task[object]]] = {}
        self._sure_until: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._held)

    async def take(self, lane: str) -> Claim | datetime | None:
        """As `OutboxStore.claim`. The lease counts from before the call: a slow store must not make it look longer."""
        until = self._monotonic() + LEASE.total_seconds()
        claim = await self.outbox.claim(lane, LEASE)
        if isinstance(claim, Claim):
            self._sure_until[claim.event.id] = until
        return claim

    @contextmanager
    def hold(self, claim: Claim) -> Generator[None]:
        """Renew the claim while the block runs; cancel the calling task if it is lost."""
        task = asyncio.current_task()
        assert task is not None
        self._held[claim.event.id] = (claim.fence, task)
        try:
            yield
        finally:
            if self._held.get(claim.event.id) == (claim.fence, task):
                del self._held[claim.event.id], self._sure_until[claim.event.id]

    def check(self, claim: Claim) -> None:
        """Raises ClaimLost where the lease may have ended: a process that was stopped (SIGSTOP, sleep) notices before it sends, not by the
        fence afterwards."""
        if self._monotonic() >= self._sure_until.get(claim.event.id, 0):
            raise ClaimLost

    async def renew(self) -> None:
        """Renew all claims; cancel the tasks of lost ones. Raises StoreUnavailable: nothing has changed."""
        held = dict(self._held)
        if not held:
            return
        until = self._monotonic() + LEASE.total_seconds()
        lost = await self.outbox.renew({event_id: fence for event_id, (fence, _) in held.items()}, LEASE)
        self._sure_until |= {event_id: until for event_id in held if event_id not in lost and self._held.get(event_id) == held[event_id]}
        for event_id in lost:
            # a claim settled meanwhile is no longer held, and was not lost
            if event_id in held and self._held.get(event_id) == held[event_id]:
                log.warning("delivery.claim_lost event=%s", event_id)
                held[event_id][1].cancel()

    async def keep(self, write: Callable[Concatenate[Claim, P], Awaitable[bool]], claim: Claim, *args: P.args, **kwargs: P.kwargs) -> None:
        """`OutboxStore.note` or `unstart`. Raises ClaimLost."""
        for failures in count(1):
            try:
                kept = await write(claim, *args, **kwargs)
            except StoreUnavailable as error:
                delay = backoff(failures, first=0.05, longest=2.0)
                log.warning("delivery.not_noted event=%s code=%s delay=%.2f", claim.event.id, error.code, delay)
                await asyncio.sleep(delay)
            else:
                if not kept:
                    raise ClaimLost
                return


SEND_SECONDS: Final = 60.0
_LONG_TEXT: Final = 8_000
"""Characters that are planned in a thread, because the event loop would stand still for too long."""
_BUG: Final = "a fault of its own kept the adapter from sending it; the log has the details"


@record
class EventSender:
    """Sends what was claimed, on one channel."""

    channel: Channel
    claims: Claims
    settings: DeliverySettings
    clock: Clock
    jitter: Callable[[], float]
    metrics: Metrics
    closing: Callable[[], bool]
    """Whether no part is to be begun any more."""

    async def attempt(self, claim: Claim, again: Callable[[], bool], unreached: int) -> RetryPause | None:
        """Send as much as the limits have room for now, and settle. Never raises for what a platform, an adapter or the store does; a claim
        that is lost is left as it is.

        `again`: `ChannelThrottle.again`. `unreached`: how often in a row its lane has met no connection before."""
        event = claim.event
        try:
            ended = await self._attempt(claim, again, unreached)
        except ClaimLost:
            log.warning("delivery.claim_lost event=%s", event.id)
            return None
        except Exception as bug:  # noqa: BLE001 - a fault here must not stop the lane: the event is tried again, later
            log.error("delivery.bug event=%s error=%s", event.id, traceback_location(bug))  # noqa: TRY400 - no words
            return await self._settle_bug(claim)
        settled = ended.settlement
        code = settled.trouble.code if settled.trouble else "none"
        said = (event.id, event.address.channel, settled.state, claim.attempts, code)
        self.metrics.add(DELIVERIES, event.address.channel, settled.state)
        log.info("delivery.settled event=%s channel=%s state=%s attempt=%d code=%s", *said)
        return ended.rest

    async def _attempt(self, claim: Claim, again: Callable[[], bool], unreached: int) -> Next:
        try:
            parts = claim.parts or await self._plan(claim)
        except SendFailed as refusal:
            return await self._settle(claim, Settlement(state="failed", trouble=refusal.trouble))
        plan = None if claim.parts else [state.part for state in parts]
        arrived: tuple[int, Receipt] | None = None
        first = parts[0].receipt.message_id if parts[0].receipt else None
        for place in [place for place, state in enumerate(parts) if state.receipt is None]:
            started = parts[place].started
            stop = self._reason_to_stop(claim, place, started)
            if stop is None and arrived is not None and not again():
                stop = Settlement(state="queued", due=self.clock(), counts=False)  # the rest waits for its turn without a claim
            if stop is not None:
                return await self._settle(claim, stop, arrived)
            await self._note_start(claim, place, started, plan, arrived)
            plan = None
            try:
                arrived = (place, await self._send(claim, parts[place].part, place, started, first))
                first = first or arrived[1].message_id
            except SendFailed as failure:
                return await self._settle_failure(claim, place, failure, started, unreached)
        return await self._settle(claim, Settlement(state="sent"), arrived)

    async def _plan(self, claim: Claim) -> Sequence[PartState]:
        """Raises SendFailed."""
        event = claim.event
        try:
            if len(event.text) > _LONG_TEXT:
                parts = await asyncio.to_thread(self.channel.plan, event)
            else:
                parts = self.channel.plan(event)
        except SendFailed:
            raise
        except Exception as bug:
            log.error("delivery.plan_bug event=%s error=%s", event.id, traceback_location(bug))  # noqa: TRY400 - no words
            raise SendRefused("internal_error", _BUG) from bug
        if not parts:
            log.error("delivery.plan_empty event=%s", event.id)
            raise SendRefused("internal_error", _BUG)
        return [PartState(part=part) for part in parts]

    def _reason_to_stop(self, claim: Claim, place: int, started: datetime | None) -> Settlement | None:
        """Why a part is not to be sent now, if so. A retry by hand is a decision: such a claim is marked `maybe_duplicate` already."""
        now = self.clock()
        if self.closing():
            return Settlement(state="queued", due=now, counts=False)
        if claim.event.expires_at <= now:
            words = "it expired before it could be sent"
            return Settlement(state="expired" if started is None else "unknown", trouble=DeliveryError(code="expired", words=words))
        undecided = started is not None and not self._is_repeatable(claim, place) and not claim.maybe_duplicate
        if undecided and self.settings.ambiguous == "hold":
            words = "the server was stopped while it was being sent"
            return Settlement(state="unknown", trouble=DeliveryError(code="interrupted", words=words))
        return None

    async def _note_start(
        self, claim: Claim, place: int, started: datetime | None, plan: Sequence[OutboundPart] | None, arrived: tuple[int, Receipt] | None
    ) -> None:
        """A part that may have arrived by an earlier try stays noted as started by that one: a platform knows a key for a few minutes from
        then."""
        twice = started is not None and not self._is_repeatable(claim, place) and not claim.maybe_duplicate
        if started is None or twice or arrived is not None:
            start = place if started is None else None
            await self.claims.keep(self.claims.outbox.note, claim, plan=plan, receipt=arrived, start=start, maybe_duplicate=twice)

    async def _send(self, claim: Claim, part: OutboundPart, place: int, started: datetime | None, first: str | None) -> Receipt:
        """Raises SendFailed, and ClaimLost before anything was sent."""
        event = claim.event
        if part.media:
            await self._fetch(part.media)
        self.claims.check(claim)
        sending = Sending(
            address=event.address,
            part=part,
            place=place,
            key=part_key(event.id, place),
            reply_to=event.reply_to if place == 0 else None,
            replaces=event.replaces if place == 0 else None,
            again=started,
            first=first,
            repeat=claim.maybe_duplicate,
        )
        try:
            async with asyncio.timeout(SEND_SECONDS):
                return await self.channel.send(sending)
        except SendFailed:
            raise
        except TimeoutError as error:
            raise SendUnclear("timeout", f"no answer came within {SEND_SECONDS:g} s") from error
        except Exception as bug:
            log.error("delivery.send_bug event=%s place=%d error=%s", event.id, place, traceback_location(bug))  # noqa: TRY400 - no words
            raise SendUnclear("internal_error", _BUG) from bug

    async def _fetch(self, media: Sequence[Media]) -> None:
        """The adapter opens them on this machine. Raises SendLater."""
        try:
            await self.claims.outbox.fetch(media)
        except StoreUnavailable as error:
            raise SendLater("store_unavailable", error.message, counts=False) from error

    def _is_repeatable(self, claim: Claim, place: int) -> bool:
        return self.channel.keyed or (place == 0 and claim.event.replaces is not None)

    async def _settle_failure(self, claim: Claim, place: int, failure: SendFailed, started: datetime | None, unreached: int) -> Next:
        trial = Trial(
            held=claim.held,
            unreached=unreached + 1,
            repeatable=self._is_repeatable(claim, place),
            uncertain=started is not None,
            ambiguous=self.settings.ambiguous,
        )
        what = after(failure, trial, self.clock(), self.jitter())
        if what.unstart:
            await self.claims.keep(self.claims.outbox.unstart, claim, place)
        await self.claims.keep(self.claims.outbox.note, claim, maybe_duplicate=what.twice, settle=what.settlement)
        return what

    async def _settle(self, claim: Claim, settlement: Settlement, arrived: tuple[int, Receipt] | None = None) -> Next:
        await self.claims.keep(self.claims.outbox.note, claim, receipt=arrived, settle=settlement)
        return Next(settlement=settlement, unstart=False)

    async def _settle_bug(self, claim: Claim) -> RetryPause | None:
        """Queue it again; where even that fails, its lease ends and it is found then."""
        words = "a fault in the server, which is tried again; the log has the details"
        delay = timedelta(seconds=backoff(claim.held + 1, self.jitter()))
        settlement = Settlement(state="queued", trouble=DeliveryError(code="internal_error", words=words), due=self.clock() + delay)
        try:
            await self.claims.keep(self.claims.outbox.note, claim, settle=settlement)
        except Exception as bug:  # noqa: BLE001 - as above
            log.error("delivery.not_settled event=%s error=%s", claim.event.id, traceback_location(bug))  # noqa: TRY400 - no words
        return None


def part_key(event_id: str, place: int) -> str:
    """The key of a part at the platform: the same for every try; 24 hexadecimal digits, because Discord's nonce takes 25 characters."""
    return blake2b(f"{event_id}\0{place}".encode(), digest_size=12).hexdigest()
