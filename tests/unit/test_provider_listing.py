"""Providers' own lists: asked seldom, and never in the way."""

from collections.abc import Sequence

import pytest

from assistant.contracts.errors import ModelNotFound, ProviderFailed
from assistant.providers.listing import ListedModels
from assistant.providers.openai_embeddings import batches


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
    assert (await lists.find("mine/org/b"))[1:] == ("mine", "org/b")
    assert provider.asked == 1
    clock.now = 300
    await lists.all()
    assert provider.asked == 2


async def test_a_provider_that_fails_is_left_out_and_asked_again_soon() -> None:
    clock, good, bad = Clock(), Provider("a"), Provider("b")
    bad.models = None
    lists = ListedModels({"good": good, "bad": bad}, clock=clock)
    assert [model.id for model in await lists.all()] == ["good/a"]
    assert (await lists.find("bad/whatever"))[1:] == ("bad", "whatever")
    bad.models = ("b",)
    clock.now = 30
    assert [model.id for model in await lists.all()] == ["good/a", "bad/b"]
    with pytest.raises(ModelNotFound):
        await lists.find("bad/whatever")


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
