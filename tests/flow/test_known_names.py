"""Names that a platform tells by ids: asked for once, and never waited for long."""

import asyncio

import pytest

from channels.kit.http import Answered, PlatformError, Unanswered
from channels.kit.names import KnownNames


class People:
    def __init__(self, *, seconds: float = 3.0) -> None:
        self.told: dict[str, str | PlatformError] = {"1": "Anna", "2": ""}
        self.asked: list[str] = []
        self.names = KnownNames(self.ask, seconds=seconds)

    async def ask(self, id: str) -> str:
        self.asked.append(id)
        if id == "slow":
            await asyncio.Event().wait()
        told = self.told.get(id, "")
        if isinstance(told, PlatformError):
            raise told
        return told


async def test_a_name_is_asked_for_once() -> None:
    people = People()
    assert [await people.names.of("1") for _ in range(3)] == ["Anna"] * 3
    assert await people.names.each(["1", "1", "2"]) == {"1": "Anna", "2": "2"}
    assert people.asked == ["1", "2"]


@pytest.mark.parametrize("error", [Answered(404, "no"), Unanswered("no")], ids=["answered", "unanswered"])
async def test_a_name_that_is_not_told_now_is_asked_for_again(error: PlatformError) -> None:
    people = People()
    people.told["3"] = error
    assert (await people.names.of("3"), await people.names.of("3", otherwise="")) == ("3", "")
    people.told["3"] = "Ben"
    assert await people.names.of("3") == "Ben"


async def test_a_name_that_comes_late_holds_up_no_message_and_no_other_name() -> None:
    people = People(seconds=0.05)
    async with asyncio.timeout(30):
        assert await people.names.each(["slow", "1"]) == {"slow": "slow", "1": "Anna"}


async def test_one_message_asks_for_twenty_names_at_most() -> None:
    people = People()
    assert len(await people.names.each(map(str, range(10, 100)))) == len(people.asked) == 20


async def test_a_name_is_short_and_no_address() -> None:
    people = People()
    people.told["3"] = "anna@1234567 " + "x" * 200
    name = await people.names.of("3")
    assert name.startswith("anna… x")
    assert len(name) == 100
