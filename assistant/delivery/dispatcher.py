"""The dispatcher: takes what waits in the outbox and has it sent, a worker for each lane; lanes and channels never wait for each other.

Nothing is polled: the notifier wakes it when something was enqueued, a timer when something falls due, and every 30 s it looks all the same.
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
from assistant.contracts.outbox import Claim, DueLanes
from assistant.contracts.util import Clock, utc_now
from assistant.delivery.claims import Claims
from assistant.delivery.retry import RetryPause
from assistant.delivery.sender import EventSender
from assistant.delivery.service import Watch
from assistant.delivery.settings import DeliverySettings
from assistant.delivery.throttle import MOST_LANES, ChannelThrottle
from assistant.store.notifier import Notifier
from assistant.store.outbox import OutboxStore

log = logging.getLogger(__name__)

_SAFETY_NET: Final = 30.0
_TEND: Final = 5.0
_AFTER_STORE_FAILED: Final = 1.0
_AFTER_BUG: Final = 30.0
_BREATH: Final = 0.005
"""Seconds between two looks at least, while there is much to do: many enqueues are one look."""
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
    ) -> None:
        """Needs a running event loop. `channels`: the enabled ones. `watch`: told of every event that was settled. `clock`: that of the store.
        `jitter`: a number from 0 to 1."""
        self._outbox = outbox
        self._notifier = notifier
        self._watch = watch or Watch()
        self._clock = clock
        self._claims = Claims(outbox)
        self._doors = {channel.name: ChannelThrottle(channel, rate_limits=settings.rate_limits, clock=clock) for channel in channels}
        self._senders = {
            channel.name: EventSender(
                channel=channel, claims=self._claims, settings=settings, clock=clock, jitter=jitter, closing=lambda: self._closing
            )
            for channel in channels
        }
        self._wake = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._workers: dict[str, asyncio.Task[None]] = {}
        self._waiting: set[str] = set()
        """Lanes whose worker holds no claim: it may be stopped at any time."""
        self._missed: set[str] = set()
        """Lanes that had something to send when they were looked at, and were at work: it may have come after their worker's last look."""
        self._tasks: list[asyncio.Task[None]] = []
        self._closing = False

    def start(self) -> None:
        """Begin. What dead processes were sending is put back first; nothing need be recovered before, or beside."""
        self._notifier.listen(self._wake.set)
        self._tasks = [
            asyncio.create_task(self._dispatch(), name="delivery-dispatch"),
            asyncio.create_task(self._keep_tending(), name="delivery-tend"),
        ]

    def enabled(self, channel: str) -> bool:
        """Whether it delivers on this channel."""
        return channel in self._doors

    def connected(self, channel: str) -> None:
        """The channel is reached (again): what waits for that is sent now."""
        if channel in self._doors:
            self._doors[channel].connected()
            self._wake.set()

    async def close(self, grace: float) -> None:
        """Claim nothing new, let the sends that run end within `grace` seconds and settle them; what has to be cut off after that stays noted
        as started, for the next start. Safe to call twice."""
        self._closing = True
        for lane in self._waiting:
            self._workers[lane].cancel()
        if self._tasks:
            await _end(self._tasks[:1])
        if self._workers:
            log.info("delivery.draining lanes=%d grace=%.1f", len(self._workers), grace)
            await asyncio.wait(self._workers.values(), timeout=grace)
        await _end(self._workers.values())
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
            # Longer where a look takes longer, so that looking never takes most of the time.
            await asyncio.sleep(max(_BREATH, 3 * (loop.time() - began)))
            await self._wake.wait()

    async def _look(self) -> float:
        """Put lanes that have something to send to work. Seconds until there will be something by itself."""
        shut = {name: door.shut_for for name, door in self._doors.items()}
        waits = [_SAFETY_NET, *(seconds for seconds in shut.values() if seconds)]
        try:
            due = await self._outbox.lanes([name for name, seconds in shut.items() if not seconds])
            waits += self._put_to_work(due)
        except StoreUnavailable as error:
            log.warning("delivery.not_looked code=%s", error.code)
            return _AFTER_STORE_FAILED
        except Exception as bug:  # noqa: BLE001 - whatever it is, nothing would be sent any more if this task ended
            log.error("delivery.bug error=%s", traceback_location(bug))  # noqa: TRY400 - no words
            return _AFTER_BUG
        if due.next_at is not None:
            waits.append(self._seconds_until(due.next_at))
        return max(0.001, min(waits))

    def _put_to_work(self, due: DueLanes) -> Sequence[float]:
        """Seconds for which lanes that have something to send are to be left alone."""
        rests: list[float] = []
        for door in self._doors.values():
            door.crowded = False
        for lane in due.ready:
            door = self._doors[lane.partition(":")[0]]
            if lane in self._workers:
                self._missed.add(lane)
            elif (seconds := door.rests_for(lane)) > 0:
                rests.append(seconds)
            elif door.lanes >= MOST_LANES:
                door.crowded = True
            else:
                self._begin(lane, door)
        return rests

    def _begin(self, lane: str, door: ChannelThrottle) -> None:
        door.lanes += 1
        task = asyncio.create_task(self._work(lane, door), name=f"lane-{lane}")
        self._workers[lane] = task
        task.add_done_callback(partial(self._ended, lane, door))

    def _ended(self, lane: str, door: ChannelThrottle, task: asyncio.Task[None]) -> None:
        door.lanes -= 1
        del self._workers[lane]
        self._waiting.discard(lane)
        if not task.cancelled() and (bug := task.exception()) is not None:
            log.error("delivery.lane_bug lane=%s error=%s", lane, traceback_location(bug))
            door.rest(lane, _alone(_AFTER_BUG))
        if door.crowded or lane in self._missed or task.cancelled():
            self._missed.discard(lane)
            self._wake.set()

    async def _work(self, lane: str, door: ChannelThrottle) -> None:
        """Send what the lane has, one event after the other."""
        while not self._closing:
            self._waiting.add(lane)
            passage = await door.enter(lane)
            self._waiting.discard(lane)
            try:
                claim = await self._claim(lane, door)
                if claim is None:
                    passage.unused()
                    return
                with self._claims.hold(claim):
                    rest = await self._senders[door.channel.name].attempt(claim, passage, door.unreached(lane))
            finally:
                door.leave()
            self._watch.changed(claim.event.id)
            if rest is None:
                door.reached(lane)
            else:
                door.rest(lane, rest)
                self._wake_in(rest.seconds)
            if rest is not None or door.crowded:
                return

    async def _claim(self, lane: str, door: ChannelThrottle) -> Claim | None:
        if self._closing:
            return None
        if door.shut_for:
            self._wake_in(door.shut_for)
            return None
        try:
            claim = await self._claims.take(lane)
        except StoreUnavailable as error:
            log.warning("delivery.not_claimed lane=%s code=%s", lane, error.code)
            door.rest(lane, _alone(_AFTER_STORE_FAILED))
            self._wake_in(_AFTER_STORE_FAILED)
            return None
        if isinstance(claim, datetime):
            self._wake_in(self._seconds_until(claim))
            return None
        return claim

    def _wake_in(self, seconds: float) -> None:
        """Look at the latest then."""
        at = asyncio.get_running_loop().time() + seconds
        if self._timer is not None and not self._timer.cancelled():
            if asyncio.get_running_loop().time() < self._timer.when() <= at:
                return
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_at(at, self._wake.set)

    def _seconds_until(self, at: datetime) -> float:
        return max(0.0, (at - self._clock()).total_seconds())

    async def tend(self) -> None:
        """Renew what is held, and take over what others have left; while it runs, this happens every 5 s by itself."""
        try:
            await self._claims.renew()
            if await self._outbox.recover():
                self._wake.set()
        except StoreUnavailable as error:
            log.warning("delivery.not_tended code=%s", error.code)
        except Exception as bug:  # noqa: BLE001 - claims that nobody renews would be lost
            log.error("delivery.bug error=%s", traceback_location(bug))  # noqa: TRY400 - no words
        for door in self._doors.values():
            door.tidy()

    async def _keep_tending(self) -> None:
        while True:
            await self.tend()
            await asyncio.sleep(_TEND)


def _alone(seconds: float) -> RetryPause:
    return RetryPause(seconds=seconds, whole_channel=False, until_connected=False)


async def _end(tasks: Collection[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=_END)
