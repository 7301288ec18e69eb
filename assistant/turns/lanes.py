"""Lanes: one turn per session at a time, in the order in which they came."""

import asyncio
from collections import deque

from assistant.contracts.errors import SessionBusy


class Place:
    """A place in a lane."""

    __slots__ = ("_reached", "key")

    def __init__(self, key: str) -> None:
        self.key = key
        self._reached: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def reached(self) -> None:
        """Wait until everybody in front has left. Cancelling the wait keeps the place: it must still be left."""
        if not self._reached.done():
            await asyncio.shield(self._reached)

    def call(self) -> None:
        self._reached.set_result(None)


class Lanes:
    """A lane for each key, made when its first place is taken and gone with the last."""

    def __init__(self, *, waiting: int) -> None:
        """`waiting`: how many may wait behind the one that runs."""
        self._waiting = waiting
        self._lanes: dict[str, deque[Place]] = {}

    def take(self, key: str) -> Place:
        """Take the next place in the lane, at once; it must be left in the end. Raises SessionBusy where too many wait."""
        lane = self._lanes.setdefault(key, deque())
        if len(lane) > self._waiting:
            raise SessionBusy(retry_after=1)
        place = Place(key)
        lane.append(place)
        if len(lane) == 1:
            place.call()
        return place

    def leave(self, place: Place) -> None:
        """Give the place back; the next in line is called if it was the first."""
        lane = self._lanes[place.key]
        was_first = lane[0] is place
        lane.remove(place)
        if not lane:
            del self._lanes[place.key]
        elif was_first:
            lane[0].call()

    def __len__(self) -> int:
        return len(self._lanes)
