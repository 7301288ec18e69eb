"""Calls of a platform that come side by side: in order in a chat, beside one another in others, and none for ever."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from assistant.contracts.channels import ChannelLink, SendLater
from assistant.contracts.errors import StoreUnavailable
from assistant.testing.platform import RecordingLink
from channels.kit.calls import DONE, NOT_NOW, TAKEN, HeldLink
from channels.kit.http import Unanswered


class Work:
    """`done`: what was taken, in order. One of "slow" waits until it is let."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.free = asyncio.Event()

    async def take(self, words: str) -> None:
        if words == "slow":
            await self.free.wait()
        self.done.append(words)


@pytest.fixture
async def held() -> AsyncGenerator[HeldLink]:
    held = HeldLink(seconds=0.05)
    task = asyncio.create_task(held.hold(RecordingLink()))
    await asyncio.sleep(0)
    yield held
    task.cancel()


async def test_a_slow_chat_holds_up_no_other_and_stays_in_order() -> None:
    held, work = HeldLink(), Work()
    task = asyncio.create_task(held.hold(RecordingLink()))
    await asyncio.sleep(0)
    slow = [asyncio.create_task(held.take("a", lambda _, each=each: work.take(each))) for each in ("slow", "next")]
    await asyncio.sleep(0)
    assert await held.take("b", lambda _: work.take("other")) is DONE
    assert work.done == ["other"]
    work.free.set()
    assert await asyncio.gather(*slow) == [DONE, DONE]
    assert work.done == ["other", "slow", "next"]
    task.cancel()


async def test_a_call_that_takes_too_long_is_to_come_again(held: HeldLink) -> None:
    work = Work()
    slow = [held.take("a", lambda _, each=each: work.take(each), reply=TAKEN) for each in ("slow", "slow")]
    assert await asyncio.gather(*slow) == [NOT_NOW, NOT_NOW]
    assert await held.take("a", lambda _: work.take("next"), reply=TAKEN) is TAKEN
    assert work.done == ["next"]


async def test_a_store_that_is_away_is_told_and_holds_up_nothing(held: HeldLink) -> None:
    async def fail(link: ChannelLink) -> None:
        raise StoreUnavailable("away")

    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            await held.take("a", fail)


async def test_a_channel_that_does_not_run_takes_nothing() -> None:
    work = Work()
    assert await HeldLink().take("a", lambda _: work.take("x")) is NOT_NOW
    assert work.done == []


@pytest.mark.parametrize("error", [Unanswered("no"), SendLater("network", "no")], ids=["platform", "send"])
async def test_what_the_platform_was_asked_in_vain_is_to_come_again(held: HeldLink, error: Exception) -> None:
    async def fail(link: ChannelLink) -> None:
        raise error

    assert await held.take("a", fail) is NOT_NOW
    assert await held.take("a", lambda _: Work().take("next")) is DONE


async def test_calls_are_taken_whether_it_runs_or_not_until_it_is_detached() -> None:
    held = HeldLink()
    held.attach(RecordingLink())
    assert await held.take("a", lambda _: Work().take("x")) is DONE
    held.attach(None)
    assert await held.take("a", lambda _: Work().take("x")) is NOT_NOW
