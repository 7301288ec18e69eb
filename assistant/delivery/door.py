"""The way out of one channel: how many send at once, within which limits, and which lanes are left alone for a while."""

import asyncio
from collections.abc import Sequence
from typing import Final

from assistant.contracts.addresses import Address
from assistant.contracts.channels import Channel, Limit
from assistant.delivery.rates import Rates
from assistant.delivery.retry import Rest

MOST_LANES: Final = 1024
"""Lanes of one channel that are at work or wait for the channel's limits; those that come later stay in the store until one is done."""
_MOST_SENDING: Final = 256
_FORGET: Final = 120.0
"""Seconds after which it no longer matters that a lane had met no connection."""


class Door:
    """One for each channel. Times are of the event loop."""

    def __init__(self, channel: Channel, *, rate_limits: bool) -> None:
        self.channel = channel
        self.lanes = 0
        """How many are at work."""
        self.crowded = False
        """More lanes have something to send than may be at work."""
        self._loop = asyncio.get_running_loop()
        self._rates = Rates(self._loop.time)
        self._rate_limits = rate_limits
        self._slots = asyncio.Semaphore(_MOST_SENDING)
        self._shut_until = 0.0
        """By the platform's word."""
        self._cut_off_until = 0.0
        """Or until it is connected."""
        self._rests: dict[str, tuple[float, int]] = {}
        """Lane → until when it rests, and how often in a row it has met no connection."""

    async def enter(self, lane: str) -> "Passage":
        """Wait for room under the limits, then for a slot. Cancelled, it has taken neither."""
        passage = Passage(self, self._limits(lane))
        await self._rates.take(passage.limits)
        try:
            await self._slots.acquire()
        except BaseException:
            self._rates.give_back(passage.limits)
            raise
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
        return max(0.0, max(self._shut_until, self._cut_off_until) - self._loop.time())

    def rests_for(self, lane: str) -> float:
        """Seconds for which a lane is left alone."""
        return max(0.0, self._rests[lane][0] - self._loop.time()) if lane in self._rests else 0.0

    def unreached(self, lane: str) -> int:
        return self._rests[lane][1] if lane in self._rests else 0

    def rest(self, lane: str, rest: Rest) -> None:
        until = self._loop.time() + rest.seconds
        if rest.until_connected:
            self._rests[lane] = (until, self.unreached(lane) + 1)
        if rest.whole_channel and rest.until_connected:
            self._cut_off_until = max(self._cut_off_until, until)
        elif rest.whole_channel:
            self._shut_until = max(self._shut_until, until)

    def pause_lane(self, lane: str, seconds: float) -> None:
        """Leave a lane alone, for a reason that is not its connection."""
        self._rests[lane] = (self._loop.time() + seconds, self.unreached(lane))

    def reached(self, lane: str) -> None:
        """The platform answered."""
        self._rests.pop(lane, None)

    def connected(self) -> None:
        """What waits for a connection need not wait any more."""
        self._rests.clear()
        self._cut_off_until = 0.0

    def tidy(self) -> None:
        """Drop what is of no more use."""
        self._rates.drop_idle()
        before = self._loop.time() - _FORGET
        for lane in [lane for lane, (until, _) in self._rests.items() if until < before]:
            del self._rests[lane]

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
