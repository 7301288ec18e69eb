"""The dispatcher sends what waits in the outbox, with a worker a lane; lanes and channels never wait for each other.

The notifier wakes it when something was enqueued, a timer when something falls due, and it looks every 30 s in any case.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from functools import partial
from typing import Final

from assistant.contracts.channels import Channel
from assistant.contracts.errors import StoreUnavailable, traceback_location
from assistant.contracts.metrics import Metrics
from assistant.contracts.outbox import Claim, DueLanes
from assistant.contracts.util import Clock, utc_now
from assistant.delivery.retry import RetryPause
from assistant.delivery.sender import Claims, EventSender
from assistant.delivery.service import Watch
from assistant.delivery.settings import DeliverySettings
from assistant.delivery.throttle import MOST_LANES, ChannelThrottle
from assistant.store.outbox import OutboxStore
from assistant.store.processes import Notifier
from assistant.workers import KeyedWorkers

log = logging.getLogger(__name__)

_AFTER_STORE_FAILED: Final = 1.0
_AFTER_BUG: Final = 30.0
_BREATH: Final = 0.005
"""Seconds between two looks at least, while there is much to do: many enqueues are one look."""
_LONGEST_BREATH: Final = 1.0
_END: Final = 5.0


class Dispatcher:
    """Sends what the outbox has for its channels, from `start` to `close`. One for each process that serves."""

    def __init__(
        self,
        outbox: OutboxStore,
        notifier: Notifier,
        channels: Sequence[Channel],
        settings: DeliverySettings,
        *,
        watch: Watch | None = None,
        clock: Clock = utc_now,
        jitter: Callable[[], float] = random.random,
        metrics: Metrics | None = None,
    ) -> None:
        """Needs a running event loop. `channels`: the enabled ones. `watch`: told about every settled event. `clock`: that of the store.
        `jitter`: a number from 0 to 1."""
        self._outbox = outbox
        self._notifier = notifier
        self._watch = watch or Watch()
        self._clock = clock
        self._claims = Claims(outbox)
        self._off: set[str] = set()
        """Channels that were switched off since."""
        self._standing_by: set[str] = set()
        """Channels on which another server sends."""
        self._throttles: dict[str, ChannelThrottle] = {}
        self._senders: dict[str, EventSender] = {}
        self._open_throttle = partial(ChannelThrottle, rate_limits=settings.rate_limits, clock=clock)
        self._open_sender = partial(
            EventSender,
            claims=self._claims,
            settings=settings,
            clock=clock,
            jitter=jitter,
            metrics=metrics or Metrics(),
        )
        self._wake = asyncio.Event()
        self._timer: asyncio.Handle | None = None
        self._timer_at = 0.0
        self._workers = KeyedWorkers("lane", self._work, ended=self._ended)
        self._waiting: set[str] = set()
        """Lanes whose worker holds no claim: it may be stopped at any time."""
        self._tasks: list[asyncio.Task[None]] = []
        self._closing = False
        for channel in channels:
            self.replace(channel)

    def replace(self, channel: Channel) -> None:
        """Send through this adapter from now on, in the place of the one of its name if there is one; what is being sent ends with the old one."""
        name = channel.name
        if name in self._throttles:
            self._throttles[name].channel = channel
        else:
            self._throttles[name] = self._open_throttle(channel)
        self._senders[name] = self._open_sender(channel=channel, closing=lambda: self._closing or name in self._standing_by)
        self._off.discard(name)
        self._wake.set()

    def switch_off(self, channel: str) -> None:
        """Claim nothing more of it: it waits in the outbox."""
        if channel in self._throttles:
            self._off.add(channel)

    def hold(self, channel: str, held: bool) -> None:
        """Send on this channel; or leave that to another server, and what is being sent to its next part."""
        if held:
            self._standing_by.discard(channel)
            self._wake.set()
        else:
            self._standing_by.add(channel)

    def start(self) -> None:
        """Begin, first with what dead processes were sending."""
        self._notifier.listen(self._wake.set)
        self._tasks = [
            asyncio.create_task(self._dispatch(), name="delivery-dispatch"),
            asyncio.create_task(self._keep_tending(), name="delivery-tend"),
        ]

    def enabled(self, channel: str) -> bool:
        """Whether it delivers on this channel, or another server does in its place."""
        return channel in self._throttles and channel not in self._off

    def connected(self, channel: str) -> None:
        """The channel is reached (again): what waits for that is sent now."""
        if channel in self._throttles:
            self._throttles[channel].connected()
            self._wake.set()

    async def close(self, grace: float) -> None:
        """Claim nothing new, and let running sends end within `grace` seconds; what is cut off then stays noted as started, for the next start.
        Safe to call twice."""
        self._closing = True
        self._workers.cancel(self._waiting)
        await _end(self._tasks[:1])
        if self._workers:
            log.info("delivery.draining lanes=%d grace=%.1f", len(self._workers), grace)
        await self._workers.drain(grace)
        await self._workers.close(_END)
        await _end(self._tasks)
        if self._timer is not None:
            self._timer.cancel()

    async def _dispatch(self) -> None:
        loop = asyncio.get_running_loop()
        while not self._closing:
            self._wake.clear()
            if self._timer is not None:
                self._timer.cancel()  # before the look: a worker may set it meanwhile
            began = loop.time()
            self._wake_in(await self._look())
            # Longer where a look takes longer, so that looking never takes most of the time; bounded, as this process may have stood still meanwhile.
            await asyncio.sleep(min(max(_BREATH, 3 * (loop.time() - began)), _LONGEST_BREATH))
            await self._wake.wait()

    async def _look(self) -> float:
        """Wake workers for lanes that have something to send. Returns the seconds until something falls due."""
        silent = self._off | self._standing_by
        shut = {name: throttle.shut_for for name, throttle in self._throttles.items() if name not in silent}
        waits = [30.0, *(seconds for seconds in shut.values() if seconds)]
        try:
            due = await self._outbox.lanes([name for name, seconds in shut.items() if not seconds])
            waits += self._put_to_work(due)
        except StoreUnavailable as error:
            log.warning("delivery.not_looked code=%s", error.code)
            return _AFTER_STORE_FAILED
        except Exception as bug:  # noqa: BLE001 - nothing would be sent any more if this task ended
            log.error("delivery.bug error=%s", traceback_location(bug))  # noqa: TRY400 - no words
            return _AFTER_BUG
        if due.next_at is not None:
            waits.append(self._seconds_until(due.next_at))
        return max(0.001, min(waits))

    def _put_to_work(self, due: DueLanes) -> Sequence[float]:
        """Returns the seconds for which due lanes must rest."""
        rests: list[float] = []
        for throttle in self._throttles.values():
            throttle.crowded = False
        for lane in due.ready:
            throttle = self._throttle(lane)
            if lane in self._workers:
                self._workers.wake(lane)  # its worker may have looked before this came: look again when it has ended
            elif (seconds := throttle.rests_for(lane)) > 0:
                rests.append(seconds)
            elif throttle.lanes >= MOST_LANES:
                throttle.crowded = True
            else:
                throttle.lanes += 1
                self._workers.wake(lane)
        return rests

    def _ended(self, lane: str, task: asyncio.Task[None], woken: bool) -> bool:
        throttle = self._throttle(lane)
        throttle.lanes -= 1
        self._waiting.discard(lane)
        if not task.cancelled() and task.exception() is not None:
            throttle.rest(lane, RetryPause(seconds=_AFTER_BUG))
        if throttle.crowded or woken or task.cancelled():
            self._wake.set()
        return False

    def _throttle(self, lane: str) -> ChannelThrottle:
        return self._throttles[lane.partition(":")[0]]

    async def _work(self, lane: str) -> None:
        """Send what the lane has, one event after the other."""
        throttle = self._throttle(lane)
        while not self._closing:
            self._waiting.add(lane)
            limits = await throttle.enter(lane)
            self._waiting.discard(lane)
            try:
                claim = await self._claim(lane, throttle)
                if claim is None:
                    throttle.rates.give_back(limits)
                    return
                with self._claims.hold(claim):
                    sender = self._senders[throttle.channel.name]
                    rest = await sender.attempt(claim, partial(throttle.again, limits), throttle.unreached(lane))
            finally:
                throttle.leave()
            self._watch.changed(claim.event.id)
            if throttle.channel.name in self._standing_by:
                self._notifier.notify()  # what the lane still has is sent by the other server
            if rest is None:
                throttle.reached(lane)
            else:
                throttle.rest(lane, rest)
                self._wake_in(rest.seconds)
            if rest is not None or throttle.crowded:
                return

    async def _claim(self, lane: str, throttle: ChannelThrottle) -> Claim | None:
        if self._closing or throttle.channel.name in self._off | self._standing_by:
            return None
        if throttle.shut_for:
            self._wake_in(throttle.shut_for)
            return None
        try:
            claim = await self._claims.take(lane)
        except StoreUnavailable as error:
            log.warning("delivery.not_claimed lane=%s code=%s", lane, error.code)
            throttle.rest(lane, RetryPause(seconds=_AFTER_STORE_FAILED))
            self._wake_in(_AFTER_STORE_FAILED)
            return None
        if isinstance(claim, datetime):
            self._wake_in(self._seconds_until(claim))
            return None
        return claim

    def _wake_in(self, seconds: float) -> None:
        """Look at the latest then."""
        loop = asyncio.get_running_loop()
        at = loop.time() + seconds
        if self._timer is not None and not self._timer.cancelled():
            if loop.time() < self._timer_at <= at:
                return
            self._timer.cancel()
        # uvloop gives a plain Handle, which does not tell its time, where less than a millisecond is left.
        self._timer, self._timer_at = loop.call_at(at, self._wake.set), at

    def _seconds_until(self, at: datetime) -> float:
        return max(0.0, (at - self._clock()).total_seconds())

    async def tend(self) -> None:
        """Renew the claims, and take over what dead processes left; the dispatcher does it every 5 s."""
        try:
            await self._claims.renew()
            if await self._outbox.recover():
                self._wake.set()
        except StoreUnavailable as error:
            log.warning("delivery.not_tended code=%s", error.code)
        except Exception as bug:  # noqa: BLE001 - claims that are not renewed are lost
            log.error("delivery.bug error=%s", traceback_location(bug))  # noqa: TRY400 - no words
        for throttle in self._throttles.values():
            throttle.tidy()

    async def _keep_tending(self) -> None:
        while True:
            await self.tend()
            await asyncio.sleep(5)


async def _end(tasks: Collection[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=_END)
