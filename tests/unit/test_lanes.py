"""One turn per session at a time, in order."""

import asyncio

import pytest

from assistant.contracts.errors import SessionBusy
from assistant.turns.handle import Lanes


async def test_places_are_reached_in_the_order_in_which_they_were_taken() -> None:
    lanes, order = Lanes(waiting=5), list[int]()
    places = [lanes.take("a") for _ in range(4)]

    async def visit(number: int) -> None:
        await places[number].reached()
        order.append(number)
        lanes.leave(places[number])

    async with asyncio.timeout(30):
        await asyncio.gather(*(visit(number) for number in (3, 1, 0, 2)))
    assert order == [0, 1, 2, 3]


async def test_one_more_than_may_wait_is_refused_and_others_are_not() -> None:
    lanes = Lanes(waiting=2)
    for _ in range(3):
        lanes.take("a")
    with pytest.raises(SessionBusy):
        lanes.take("a")
    lanes.take("b")


async def test_one_who_leaves_the_middle_of_the_lane_lets_nobody_overtake() -> None:
    lanes = Lanes(waiting=5)
    first, second, third = (lanes.take("a") for _ in range(3))
    waiting = asyncio.create_task(second.reached())
    await asyncio.sleep(0)
    waiting.cancel()
    lanes.leave(second)
    later = asyncio.create_task(third.reached())
    await asyncio.sleep(0)
    assert not later.done()
    lanes.leave(first)
    async with asyncio.timeout(30):
        await later


async def test_an_empty_lane_leaves_nothing_behind() -> None:
    lanes = Lanes(waiting=1)
    for number in range(100):
        lanes.leave(lanes.take(str(number)))
    assert len(lanes) == 0
