"""Who holds a channel, among the processes on a store."""

import asyncio

from assistant.store.holds import Hold
from tests.contract.store.conftest import Opener

NAMES = {"telegram", "discord"}


async def test_what_is_free_is_held_by_the_first_that_wants_it(open_again: Opener) -> None:
    one, two = (await open_again()).holds, (await open_again()).holds
    held = await one.contend({"telegram"}, {})
    assert held == {"telegram": Hold(one.me, 0, 0)}
    both = await two.contend(NAMES, {})
    assert both == {"telegram": Hold(one.me, 1, 0), "discord": Hold(two.me, 0, 0)}
    assert await one.list() == both


async def test_a_holder_that_answers_keeps_its_channel_and_one_that_owes_too_long_loses_it(open_again: Opener) -> None:
    one, two = (await open_again()).holds, (await open_again()).holds
    await one.contend({"telegram"}, {})
    owed = (await two.contend({"telegram"}, {}))["telegram"]
    assert owed.owes
    assert await two.contend({"telegram"}, {}) == {"telegram": owed}, "asked once until it answers"
    assert await one.contend({"telegram"}, {}) == {"telegram": Hold(one.me, 1, 1)}
    assert await two.contend({"telegram"}, {"telegram": owed}) == {"telegram": Hold(one.me, 2, 1)}, "it has answered that"
    owed = (await two.list())["telegram"]
    assert await two.contend({"telegram"}, {"telegram": owed}) == {"telegram": Hold(two.me, 2, 2)}
    assert await one.contend({"telegram"}, {}) == {"telegram": Hold(two.me, 3, 2)}, "it asks now as the other did"


async def test_what_is_let_go_is_free_and_only_ones_own_is(open_again: Opener) -> None:
    one, two = (await open_again()).holds, (await open_again()).holds
    await one.contend(NAMES, {})
    await two.let_go(NAMES)
    assert {hold.runner for hold in (await two.list()).values()} == {one.me}
    await one.let_go({"telegram"})
    assert {name: hold.runner for name, hold in (await two.contend(NAMES, {})).items()} == {"telegram": two.me, "discord": one.me}


async def test_what_a_process_that_is_gone_held_is_taken_at_once(open_again: Opener) -> None:
    gone, two = await open_again(), (await open_again()).holds
    await gone.holds.contend(NAMES, {})
    await gone.close()
    async with asyncio.timeout(30):  # a server needs a moment to notice that a client has gone
        while {hold.runner for hold in (await two.contend(NAMES, {})).values()} != {two.me}:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
