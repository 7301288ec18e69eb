"""Holding channels: one process at a time, given up by the clock of the one that stood still before another takes it."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from assistant.delivery.holds import LEASE, ChannelHolds
from assistant.store.database import AttachmentSettings, StoreSettings
from assistant.store.store import Store, open_store
from tests.flow.delivery.house import until


class Process:
    """One of several on a store, with a clock of its own that a test turns."""

    def __init__(self, store: Store, *wanted: str) -> None:
        self.store = store
        self.now = 1000.0
        self.told: list[tuple[str, bool]] = []
        self.holds = ChannelHolds(store.holds, store.notifier, self._tell, wanted=wanted, monotonic=lambda: self.now)

    def _tell(self, channel: str, held: bool) -> None:
        self.told.append((channel, held))

    async def sees(self, channel: str, held: bool) -> None:
        """Whatever time must pass for it by its own clock."""

        def passes() -> bool:
            self.now += 0.1
            return self.holds.holds(channel) is held

        await until(passes)


@pytest.fixture
async def stack() -> AsyncGenerator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


@asynccontextmanager
async def process(url: str, folder: Path, *wanted: str) -> AsyncGenerator[Process]:
    store = await open_store(StoreSettings(url=url), folder / "state", AttachmentSettings())
    it = Process(store, *wanted)
    await it.holds.start()
    try:
        yield it
    finally:
        await it.holds.let_go()
        await store.close()


async def test_one_holds_and_at_its_end_the_other_does(url: str, tmp_path: Path, stack: AsyncExitStack) -> None:
    async with process(url, tmp_path, "telegram", "discord") as one:
        two = await stack.enter_async_context(process(url, tmp_path, "telegram", "matrix"))
        assert one.told == [("discord", True), ("telegram", True)]
        assert two.told == [("matrix", True)]
        assert not two.holds.holds("telegram")
    await two.sees("telegram", True)
    assert two.told == [("matrix", True), ("telegram", True)]
    assert one.told == [("discord", True), ("telegram", True)], "one that lets go at its end is not told"


async def test_a_channel_that_is_not_wanted_any_more_goes_to_another_at_once(url: str, tmp_path: Path, stack: AsyncExitStack) -> None:
    one = await stack.enter_async_context(process(url, tmp_path, "telegram"))
    two = await stack.enter_async_context(process(url, tmp_path, "telegram"))
    await one.holds.want("telegram", False)
    assert one.told[-1] == ("telegram", False)
    await two.sees("telegram", True)
    await one.holds.want("telegram", True)
    assert not one.holds.holds("telegram")


async def test_one_whose_clock_jumped_has_lost_it_before_it_asks_and_may_take_it_again(url: str, tmp_path: Path) -> None:
    async with process(url, tmp_path, "telegram") as one:
        one.now += LEASE
        assert not one.holds.holds("telegram"), "by the clock alone"
        await until(lambda: one.told == [("telegram", True), ("telegram", False), ("telegram", True)])
        assert one.holds.holds("telegram")


async def test_a_holder_that_does_not_answer_loses_it_to_the_one_that_asked(url: str, tmp_path: Path, stack: AsyncExitStack) -> None:
    deaf = await open_store(StoreSettings(url=url), tmp_path / "state", AttachmentSettings())
    stack.push_async_callback(deaf.close)
    await deaf.holds.contend({"telegram"}, {})
    two = await stack.enter_async_context(process(url, tmp_path, "telegram"))
    await asyncio.sleep(0)
    assert not two.holds.holds("telegram")
    await two.sees("telegram", True)
    assert two.now - 1000.0 >= LEASE
    assert (await deaf.holds.list())["telegram"].runner == two.store.runner.id


async def test_a_store_that_can_not_be_used_costs_the_hold_when_its_time_is_over(url: str, tmp_path: Path) -> None:
    async with process(url, tmp_path, "telegram") as one:
        await one.store.database.close()
        await until(lambda: one.holds.holds("telegram"))
        await one.sees("telegram", False)
        await until(lambda: one.told[-1] == ("telegram", False))


async def test_what_is_wanted_may_change_while_the_store_is_asked(url: str, tmp_path: Path, stack: AsyncExitStack) -> None:
    store = await open_store(StoreSettings(url=url), tmp_path / "state", AttachmentSettings())
    stack.push_async_callback(store.close)
    one = Process(store, *[f"channel{number}" for number in range(500)])
    stack.push_async_callback(one.holds.let_go)
    starting = asyncio.create_task(one.holds.start())
    wishes: list[asyncio.Task[None]] = []
    while not starting.done():
        if len(wishes) < 100:
            wishes.append(asyncio.create_task(one.holds.want(f"later{len(wishes)}", True)))
        await asyncio.sleep(0.001)
    await asyncio.gather(starting, *wishes)
    assert one.holds.holds("channel499")
    assert one.holds.holds("later0")
