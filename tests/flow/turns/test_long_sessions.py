"""A session of 2,000 turns with a model of 16k: its prompt never exceeds that, and what was said long ago is not lost."""

import asyncio
from dataclasses import replace

import pytest

from tests.doubles.small_context import SmallContext, words_of
from tests.flow.turns.house import House, ask
from tests.flow.turns.long_talk import PLANTED, long_talk


@pytest.mark.parametrize(("provider", "sums_up"), [("small", True), ("offline", False)])
async def test_what_was_said_in_2000_turns_is_in_the_summary_and_in_the_rows(house: House, provider: str, sums_up: bool) -> None:
    model = SmallContext(16_000)
    model.info = replace(model.info, provider=provider)
    turns = house.turns(model)
    said, identifiers = long_talk()
    async with asyncio.timeout(300):
        for text in said:
            await turns.start(ask(text)).result()
        await turns.close(5)
    assert (model.refused, len(model.prompts), bool(model.sums)) == (0, len(said), sums_up)
    assert model.longest <= 16_000 * 0.8, "a cut comes long before the end"
    cuts = await house.store.summaries.list("local", "api:s")
    assert 10 <= len(cuts) <= 40
    assert {cut.made_by for cut in cuts} == {"small" if sums_up else ""}
    assert all(cut.tokens <= 16_000 * 0.15 for cut in cuts)
    stored = [await house.store.sessions.messages("local", "api:s", after=after) for after in range(0, 2 * len(said), 1_000)]
    rows = "\n".join(words_of(each.message) for page in stored for each in page)
    assert sum(value in rows for value in identifiers) == PLANTED
    text = cuts[-1].text
    assert sum(value in text for value in identifiers) >= 195
    assert all(fact in text for fact in ("Ottilie Brandt", "Uppsala")), "the facts of turn 5"
