"""Providers' own lists: asked seldom, and never in the way."""

import asyncio
from collections.abc import Sequence

import pytest

from assistant.contracts.errors import ModelNotFound, ProviderFailed
from assistant.providers.choice import ChosenModel, choose
from assistant.providers.listing import ListedModels
from assistant.providers.openai import batches
from assistant.providers.registry import ModelRegistry


class Provider:
    """Lists what it is told, or fails."""

    def __init__(self, *models: str) -> None:
        self.models: Sequence[str] | None = models
        self.asked = 0

    async def __call__(self) -> Sequence[str]:
        self.asked += 1
        if self.models is None:
            raise ProviderFailed
        return self.models


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


async def test_a_list_is_asked_for_once_in_five_minutes() -> None:
    clock, provider = Clock(), Provider("a", "text-embedding-x", "org/b")
    lists = ListedModels({"mine": provider}, clock=clock)
    assert [model.id for model in await lists.all()] == ["mine/a", "mine/org/b"]
    clock.now = 299
    found = await lists.find("mine/org/b")
    assert (found.provider, found.model, found.sure) == ("mine", "org/b", True)
    assert provider.asked == 1
    clock.now = 300
    await lists.all()
    assert provider.asked == 2


async def test_a_provider_that_fails_is_left_out_and_asked_again_soon() -> None:
    clock, good, bad = Clock(), Provider("a"), Provider("b")
    bad.models = None
    lists = ListedModels({"good": good, "bad": bad}, clock=clock)
    assert [model.id for model in await lists.all()] == ["good/a"]
    found = await lists.find("bad/whatever")
    assert (found.provider, found.model, found.sure) == ("bad", "whatever", False)
    bad.models = ("b",)
    clock.now = 30
    await lists.all()
    assert [model.id for model in await lists.all()] == ["good/a", "bad/b"]
    with pytest.raises(ModelNotFound):
        await lists.find("bad/whatever")


async def test_a_provider_that_fails_later_has_the_models_that_it_had() -> None:
    clock, provider = Clock(), Provider("a")
    lists = ListedModels({"mine": provider}, clock=clock)
    await lists.all()
    provider.models = None
    clock.now = 300
    assert [model.id for model in await lists.all()] == ["mine/a"]
    with pytest.raises(ModelNotFound):
        await lists.find("mine/b")


async def test_a_provider_that_hangs_again_holds_up_nobody() -> None:
    clock, gate, asked = Clock(), asyncio.Event(), asyncio.Event()
    hangs = False

    async def ask() -> Sequence[str]:
        if not hangs:
            raise ProviderFailed
        asked.set()
        await gate.wait()
        return ("a",)

    lists = ListedModels({"mine": ask}, clock=clock)
    assert await lists.all() == []
    clock.now, hangs = 30, True
    async with asyncio.timeout(30):
        assert await lists.all() == []
        await asked.wait()
        assert await lists.all() == []
        gate.set()
        while not await lists.all():
            pass


async def test_names_that_nobody_vouches_for_do_not_pile_up() -> None:
    async def fails() -> Sequence[str]:
        raise ProviderFailed

    async def chosen(model: str, provider: str) -> ChosenModel:
        return await choose(model="offline", provider="offline", providers={}, environment={})

    registry = ModelRegistry({}, ListedModels({"mine": fails}), chosen, offline=True)
    for number in range(64):
        await registry.open(f"mine/{number}")
    for number in range(3):
        with pytest.raises(ProviderFailed, match="does not list"):
            await registry.open(f"mine/more-{number}")
    assert (await registry.open("mine/7")).listed.id == "mine/7"
    assert (await registry.open("offline-embedding")).embeds is not None
    await registry.close()


@pytest.mark.parametrize("model", ["a", "mine", "mine/", "mine/c", "other/a", ""])
async def test_what_is_not_listed_is_not_found(model: str) -> None:
    with pytest.raises(ModelNotFound):
        await ListedModels({"mine": Provider("a")}).find(model)


def test_batches_keep_the_order_and_the_limits() -> None:
    texts = [str(number) for number in range(600)]
    assert [len(batch) for batch in batches(texts)] == [128] * 4 + [88]
    assert [text for batch in batches(texts) for text in batch] == texts
    assert [len(batch) for batch in batches(["a" * 300_000] * 3)] == [1, 1, 1]
    assert batches([]) == []
