"""The platforms' limits, kept before the platform has to say so: at most so many sends in so many seconds, by key."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack

from assistant.contracts.channels import Limit


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
    """Room under all limits of a send at once. Whoever waits for the room of its chat does not stand in the way of other chats: turns are
    taken from the narrowest limit to the widest, so that the one who is first at a wide one only waits for that."""

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
            for limit in self._from_narrow_to_wide(limits):
                window = self._window(limit)  # not before: one that nobody holds may have been dropped meanwhile
                await turns.enter_async_context(window.turn)
                while (wait := window.wait(self._clock())) > 0:  # noqa: ASYNC110 - for a time to come, not for somebody
                    await asyncio.sleep(wait)
                held.append(window)
            # Within the turns: room that was taken before a long wait for a slot would be many sends at once after it.
            await slots.acquire()
            self._note(held)

    def take_now(self, limits: Sequence[Limit]) -> bool:
        """Take it if there is room and nobody waits for it."""
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

    def _from_narrow_to_wide(self, limits: Sequence[Limit]) -> Sequence[Limit]:
        by_key = {limit.key: limit for limit in limits}
        return sorted(by_key.values(), key=lambda limit: self._window(limit).rank)
