"""Messages that came without a connection: what can't be read holds up nothing."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from channels.kit.http import Answered, PlatformError, Unanswered
from channels.kit.missed import MissedMessages


async def test_a_chat_that_never_answers_holds_up_no_other() -> None:
    async def read(chat: int) -> Sequence[str]:
        if chat % 2:
            await asyncio.Event().wait()
        return [f"w{chat}"]

    async with asyncio.timeout(10):
        assert await MissedMessages("test", seconds=0.05).of_chats(range(7), read) == ["w0", "w2", "w4", "w6"]


@pytest.mark.parametrize(
    "last", [Answered(429, "wait", retry_after=3600), Answered(500, "no"), Unanswered("no")], ids=["429", "500", "none"]
)
async def test_behind_the_last_try_nothing_is_waited_for(last: PlatformError) -> None:
    asked: list[int] = []

    async def question() -> str:
        asked.append(1)
        raise Answered(429, "wait", retry_after=0.001) if len(asked) < 4 else last

    async with asyncio.timeout(5):
        assert await MissedMessages("test", pause=60).ask("1", question) is None
    assert len(asked) == 4


@pytest.mark.parametrize("place", [5, 1, 0, -1])
async def test_pages_that_do_not_go_on_are_left(place: int) -> None:
    async def page(after: int) -> Sequence[Any]:
        return [after, after]

    found = await MissedMessages("test").since("1", 5, page, size=2, place=lambda _: place)
    assert found == [5, 5]
