"""How fast a channel may send: the platform's limits as exact windows, pauses of a chat, one send a lane at a time."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Final

from assistant.contracts.addresses import Address
from assistant.contracts.channels import Channel, Limit
from assistant.contracts.records import record
from assistant.contracts.util import Clock
from assistant.delivery.retry import RetryPause


class Window:
    """The last sends under one limit: exact, and as long as the limit's amount."""

    __slots__ = ("_amount", "_seconds", "_times", "rank", "turn")

    def __init__(self, limit: Limit) -> None:
        self._times: deque[float] = deque()
        self.turn = asyncio.Lock()
        """Who holds it is the next to send; the others wait behind, in order."""
        self.rank = (limit.amount / limit.seconds, limit.key)
        """The narrow ones first. It stays what it was at first, so that turns are always taken in the same order."""
        self.adopt(limit)

    def adopt(self, limit: Limit) -> None:
        """Less than one send in a time is one in a longer time."""
        self._amount = max(1, int(limit.amount))
        self._seconds = limit.seconds if limit.amount >= 1 else limit.seconds / limit.amount
        while len(self._times) > self._amount:
            self._times.popleft()

    def wait(self, now: float) -> float:
        """Seconds until there is room for one more; 0: now."""
        if len(self._times) < self._amount:
            return 0.0
        return max(0.0, self._times[0] + self._seconds - now)

    def take(self, now: float) -> None:
        self._times.append(now)
        if len(self._times) > self._amount:
            self._times.popleft()

    def give_back(self) -> None:
        """The last one was not sent."""
        if self._times:
            self._times.pop()

    def is_idle(self, now: float) -> bool:
        return not self.turn.locked() and (not self._times or self._times[-1] + self._seconds <= now)


class Rates:
    """Room under all limits of a send at once. A send that waits for its chat does not block other chats: turns are taken from the narrowest
    limit to the widest, so that the first at a wide one waits only for that."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """`clock`: seconds, monotonic."""
        self._clock = clock
        self._windows: dict[str, Window] = {}

    def __len__(self) -> int:
        return len(self._windows)

    async def take(self, limits: Sequence[Limit], slots: asyncio.Semaphore) -> None:
        """Wait until all have room, in the order of arrival, and then for a slot; take both. Cancelled, it has taken nothing."""
        held: list[Window] = []
        async with AsyncExitStack() as turns:
            by_key = {limit.key: limit for limit in limits}
            for limit in sorted(by_key.values(), key=lambda limit: self._window(limit).rank):
                window = self._window(limit)  # not earlier: an idle one may have been dropped meanwhile
                await turns.enter_async_context(window.turn)
                while (wait := window.wait(self._clock())) > 0:  # noqa: ASYNC110 - waits for a time, not for an event
                    await asyncio.sleep(wait)
                held.append(window)
            # Within the turns: room that was taken before a long wait for a slot would be many sends at once after it.
            await slots.acquire()
            self._note(held)

    def take_now(self, limits: Sequence[Limit]) -> bool:
        """Take it if there is room and no send waits for it."""
        windows, now = [self._window(limit) for limit in limits], self._clock()
        if any(window.turn.locked() or window.wait(now) > 0 for window in windows):
            return False
        self._note(windows)
        return True

    def give_back(self, limits: Sequence[Limit]) -> None:
        for limit in limits:
            self._window(limit).give_back()

    def drop_idle(self) -> None:
        now = self._clock()
        for key in [key for key, window in self._windows.items() if window.is_idle(now)]:
            del self._windows[key]

    def _note(self, windows: Sequence[Window]) -> None:
        now = self._clock()
        for window in windows:
            window.take(now)

    def _window(self, limit: Limit) -> Window:
        window = self._windows.get(limit.key)
        if window is None:
            window = self._windows[limit.key] = Window(limit)
        else:
            window.adopt(limit)
        return window


MOST_LANES: Final = 1024
"""Lanes of one channel that are at work or wait for the channel's limits; those that come later stay in the store until one is done."""
_MOST_SENDING: Final = 256
_FORGET: Final = timedelta(minutes=2)
"""After this it no longer matters that a lane had met no connection."""
_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)


@record
class _LaneRest:
    until: datetime
    until_connected: bool
    unreached: int
    """How often in a row the lane has met no connection."""


class ChannelThrottle:
    """One for each channel."""

    def __init__(self, channel: Channel, *, rate_limits: bool, clock: Clock) -> None:
        """Needs a running event loop."""
        self.channel = channel
        self.lanes = 0
        """How many are at work."""
        self.crowded = False
        """More lanes have something to send than may be at work."""
        self._clock = clock
        self.rates = Rates(asyncio.get_running_loop().time)
        self._rate_limits = rate_limits
        self._slots = asyncio.Semaphore(_MOST_SENDING)
        self._shut_until = _LONG_AGO
        """By the platform's word."""
        self._cut_off_until = _LONG_AGO
        """Or until it is connected."""
        self._cut_off = 0
        """How often in a row the channel was."""
        self._rests: dict[str, _LaneRest] = {}

    async def enter(self, lane: str) -> Sequence[Limit]:
        """Wait for room under the limits and a slot. Returns the limits. Cancelled, it has taken neither."""
        channel, _, chat_id = lane.partition(":")
        limits = self.channel.limits(Address(channel=channel, chat_id=chat_id)) if self._rate_limits else ()
        await self.rates.take(limits, self._slots)
        return limits

    def again(self, limits: Sequence[Limit]) -> bool:
        """Whether there is room for another send right now; it is taken."""
        return not self.shut_for and self.rates.take_now(limits)

    def leave(self) -> None:
        self._slots.release()

    @property
    def shut_for(self) -> float:
        """Seconds for which nothing may be sent on the whole channel."""
        return self._until(max(self._shut_until, self._cut_off_until))

    def rests_for(self, lane: str) -> float:
        """Seconds for which a lane is left alone, whatever is due in it: a message that came later, or a retry by hand, must not break a
        platform's wait either."""
        return self._until(self._rests[lane].until) if lane in self._rests else 0.0

    def unreached(self, lane: str) -> int:
        """How often in a row it has met no connection."""
        return max(self._cut_off, self._rests[lane].unreached if lane in self._rests else 0)

    def rest(self, lane: str, rest: RetryPause) -> None:
        now = self._clock()
        until = now + timedelta(seconds=rest.seconds)
        if not rest.whole_channel:
            unreached = self.unreached(lane) + 1 if rest.until_connected else 0
            self._rests[lane] = _LaneRest(until=until, until_connected=rest.until_connected, unreached=unreached)
        elif not rest.until_connected:
            self._shut_until = max(self._shut_until, until)
        elif self._cut_off_until <= now:  # else it is the same loss, which others met, too
            self._cut_off_until = until
            self._cut_off += 1

    def reached(self, lane: str) -> None:
        """The platform answered."""
        self._rests.pop(lane, None)
        self._cut_off = 0

    def connected(self) -> None:
        """What waits for a connection need not wait any more."""
        self._cut_off_until, self._cut_off = _LONG_AGO, 0
        self._rests = {lane: rest for lane, rest in self._rests.items() if not rest.until_connected}

    def tidy(self) -> None:
        """Drop what is of no more use."""
        self.rates.drop_idle()
        before = self._clock() - _FORGET
        self._rests = {lane: rest for lane, rest in self._rests.items() if rest.until >= before}

    def _until(self, at: datetime) -> float:
        return max(0.0, (at - self._clock()).total_seconds())
