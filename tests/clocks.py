"""Clocks that a test turns."""

import asyncio
from datetime import UTC, datetime, timedelta


class TurnedClock:
    """Stands until it is turned."""

    def __init__(self, now: datetime = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def turn(self, by: timedelta) -> None:
        self.now += by


class ShiftedClock:
    """Goes like any clock, and can be set forward."""

    def __init__(self) -> None:
        self._ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self._ahead

    def turn(self, by: timedelta) -> None:
        self._ahead += by


class TurnedLoop:
    """The running event loop, whose time can be set forward: what falls due by then runs at once."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self._ahead = 0.0
        time = loop.time
        loop.time = lambda: time() + self._ahead

    def turn(self, seconds: float) -> None:
        self._ahead += seconds
