"""The way out of one channel: how many send at once, within which limits, and which lanes are left alone for a while."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from assistant.contracts.addresses import Address
from assistant.contracts.channels import Channel, Limit
from assistant.contracts.clock import Clock
from assistant.delivery.rates import Rates
from assistant.delivery.retry import Rest

MOST_LANES: Final = 1024
"""Lanes of one channel that are at work or wait for the channel's limits; those that come later stay in the store until one is done."""
_MOST_SENDING: Final = 256
_FORGET: Final = timedelta(minutes=2)
"""After this it no longer matters that a lane had met no connection."""
_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class _LaneRest:
    until: datetime
    until_connected: bool
    unreached: int
    """How often in a row the lane has met no connection."""


class Door:
    """One for each channel."""

    def __init__(self, channel: Channel, *, rate_limits: bool, clock: Clock) -> None:
        """Needs a running event loop."""
        self.channel = channel
        self.lanes = 0
        """How many are at work."""
        self.crowded = False
        """More lanes have something to send than may be at work."""
        self._clock = clock
        self._rates = Rates(asyncio.get_running_loop().time)
        self._rate_limits = rate_limits
        self._slots = asyncio.Semaphore(_MOST_SENDING)
        self._shut_until = _LONG_AGO
        """By the platform's word."""
        self._cut_off_until = _LONG_AGO
        """Or until it is connected."""
        self._cut_off = 0
        """How often in a row the channel was."""
        self._rests: dict[str, _LaneRest] = {}

    async def enter(self, lane: str) -> "Passage":
        """Wait for room under the limits and a slot. Cancelled, it has taken neither."""
        passage = Passage(self, self._limits(lane))
        await self._rates.take(passage.limits, self._slots)
        return passage

    def leave(self) -> None:
        self._slots.release()

    def take_now(self, limits: Sequence[Limit]) -> bool:
        return self._rates.take_now(limits)

    def give_back(self, limits: Sequence[Limit]) -> None:
        self._rates.give_back(limits)

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

    def rest(self, lane: str, rest: Rest) -> None:
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
        self._rates.drop_idle()
        before = self._clock() - _FORGET
        self._rests = {lane: rest for lane, rest in self._rests.items() if rest.until >= before}

    def _until(self, at: datetime) -> float:
        return max(0.0, (at - self._clock()).total_seconds())

    def _limits(self, lane: str) -> Sequence[Limit]:
        if not self._rate_limits:
            return ()
        channel, _, chat_id = lane.partition(":")
        return self.channel.limits(Address(channel=channel, chat_id=chat_id))


class Passage:
    """The right to send once, within the limits; for the next part it must be had again."""

    __slots__ = ("_door", "limits")

    def __init__(self, door: Door, limits: Sequence[Limit]) -> None:
        self._door = door
        self.limits = limits

    def again(self) -> bool:
        """Whether there is room for another send right now; it is taken."""
        return not self._door.shut_for and self._door.take_now(self.limits)

    def unused(self) -> None:
        self._door.give_back(self.limits)
