"""Compaction, as a session lives through it: when a cut is made, what the model sees then, who is told, and what goes wrong."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import ClassVar

import pytest
from pydantic import BaseModel

from assistant.contracts.errors import ProviderFailed
from assistant.contracts.messages import AssistantMessage, Message, ToolMessage, Usage, UserMessage
from assistant.contracts.sessions import ONCE
from assistant.contracts.tools import ToolContext, ToolResult
from assistant.contracts.transcripts import SUMMARY_ID, heal
from assistant.contracts.turns import HistoryMessage, UserText
from assistant.providers.chain import ModelChain
from assistant.store.codec import encode_message
from assistant.store.database import AttachmentSettings, StoreSettings
from assistant.store.store import open_store
from assistant.testing.scripted import ScriptedModel
from assistant.turns.service import Turns
from tests.doubles.small_context import SmallContext, words_of
from tests.flow.turns.house import House, ask, texts
from tests.flow.turns.test_turns_of_the_inbox import Told


class NoArguments(BaseModel):
    pass


class LongResult:
    """A tool whose results are long."""

    name: ClassVar[str] = "look"
    description: ClassVar[str] = "Look."
    params: ClassVar[type[BaseModel]] = NoArguments
    reads_only: ClassVar[bool] = True
    timeout: ClassVar[float] = 5
    text = ("found it " * 400)[:3_000]

    async def run(self, params: NoArguments, ctx: ToolContext) -> ToolResult:
        return ToolResult(text=self.text)


@pytest.fixture
async def house(url: str, tmp_path: Path) -> AsyncGenerator[House]:
    """On each kind of database."""
    store = await open_store(StoreSettings(url=url), tmp_path / "state", AttachmentSettings())
    yield House(store, tmp_path)
    await store.close()


def filler(number: int) -> str:
    return f"Message {number}: " + "we talked about the weather " * 20


def under_way() -> "list[asyncio.Task[object]]":
    """The cuts that are being made, behind the turns that began them."""
    return [task for task in asyncio.all_tasks() if "Compaction._made" in repr(task)]


async def talk(turns: Turns, house: House, cuts: int = 1, most: int = 60) -> int:
    """Talk until the session has so many cuts; returns how many turns that took."""
    for number in range(most):
        await turns.start(ask(filler(number))).result()
        if making := under_way():
            await asyncio.wait(making)
        if len(await house.store.summaries.list("local", "api:s")) >= cuts:
            return number + 1
    raise AssertionError("no cut was made")


async def up_to_the_line(turns: Turns, model: SmallContext) -> None:
    """Talk until a summary is asked of a model whose gate is closed, in short messages at the end: there is room for more."""
    while not model.asked_for_summary.is_set():
        number = len(model.prompts)
        await turns.start(ask(filler(number) if number < 18 else f"short {number}")).result()
        asked = asyncio.create_task(model.asked_for_summary.wait())
        if cuts := under_way():
            await asyncio.wait([asked, *cuts], return_when=asyncio.FIRST_COMPLETED)
        asked.cancel()


async def until_cut(house: House) -> None:
    """Wait for a cut that is under way."""
    for _ in range(1_000):
        if await house.store.summaries.list("local", "api:s"):
            return
        await asyncio.sleep(0.01)
    raise AssertionError("no cut was made")


def summary_in(prompt: tuple[Message, ...]) -> str:
    return words_of(prompt[0]) if prompt[0].id.startswith(SUMMARY_ID) else ""


async def test_the_prompts_beginning_changes_at_cuts_and_nowhere_else(house: House) -> None:
    model = SmallContext(8_000)
    turns = house.turns(model)
    async with asyncio.timeout(120):
        for number in range(200):
            await turns.start(ask(filler(number))).result()
        await turns.close(5)
    encoded = [[encode_message(message) for message in prompt] for prompt in model.prompts]
    moved = [number for number, (one, next_one) in enumerate(pairwise(encoded)) if next_one[: len(one)] != one]
    cuts = await house.store.summaries.list("local", "api:s")
    assert 3 <= len(cuts) <= 15
    assert len(moved) in (len(cuts), len(cuts) - 1), "one that was made after the last turn shows in the next"
    assert all(summary_in(model.prompts[number + 1]) for number in moved)
    assert model.refused == 0


async def test_the_turn_that_reaches_the_line_does_not_wait_and_the_next_ones_go_on(house: House) -> None:
    model = SmallContext(6_000)
    model.gate.clear()
    turns = house.turns(model)
    async with asyncio.timeout(60):
        await up_to_the_line(turns, model)
        for number in range(2):
            await turns.start(ask(filler(number))).result()
        assert not any(map(summary_in, model.prompts))
        assert len(model.sums) == 1
        model.gate.set()
        await until_cut(house)
        await turns.start(ask("and now?")).result()
    assert summary_in(model.prompts[-1])
    assert model.prompts[-1][-5:-1] == (*model.prompts[-2], *model.prompts[-1][-2:-1])[-4:], "what was said meanwhile is there as it was"
    assert {request.payer.cause.kind for request in model.sums if request.payer} == {"compaction"}


async def test_a_prompt_that_does_not_fit_waits_for_the_summary_under_way(house: House) -> None:
    model = SmallContext(6_000)
    model.gate.clear()
    turns = house.turns(model)
    async with asyncio.timeout(60):
        await up_to_the_line(turns, model)
        waiting = turns.start(ask("long " * 1_500))
        model.gate.set()
        await waiting.result()
    assert summary_in(model.prompts[-1])
    assert (len(model.sums), model.refused) == (1, 0)


@pytest.mark.parametrize("told", [16_000, 6_000])
async def test_a_context_smaller_than_claimed_is_met_by_one_cut_and_one_repeat(house: House, told: int) -> None:
    model = SmallContext(6_000, told=told)
    turns = house.turns(ModelChain([model]))
    async with asyncio.timeout(60):
        turns_made = await talk(turns, house)
    assert model.refused == (1 if told > 6_000 else 0)
    assert len(model.prompts) == turns_made
    if told > 6_000:
        assert summary_in(model.prompts[-1])
        assert texts(model.prompts[-1])[-1] == filler(turns_made - 1)


@pytest.mark.parametrize(
    "answer", ["Sure, what shall I sum up?", ProviderFailed("down", retryable=False), "## Who and what\n- a\n", ""], ids=repr
)
async def test_where_no_summary_comes_one_is_put_together_without_a_model(house: House, answer: str | ProviderFailed) -> None:
    model = SmallContext(6_000, summaries=answer)
    turns = house.turns(model)
    async with asyncio.timeout(60):
        await turns.start(ask("My order is KX-4471 and my name is Ada.")).result()
        await talk(turns, house)
    (made,) = await house.store.summaries.list("local", "api:s")
    assert made.made_by == ""
    assert "My order is KX-4471" in made.text
    assert "## Exact identifiers\n- KX-4471" in made.text


async def test_a_summary_that_is_late_is_not_waited_for(house: House) -> None:
    model = SmallContext(6_000)
    model.gate.clear()
    turns = house.turns(model, deadline=0.05)
    async with asyncio.timeout(60):
        await talk(turns, house)
    (made,) = await house.store.summaries.list("local", "api:s")
    assert made.made_by == ""


async def test_another_model_may_write_the_summaries(house: House) -> None:
    model, cheap = SmallContext(6_000), SmallContext(6_000)
    cheap.info = replace(cheap.info, id="cheap")
    async with asyncio.timeout(60):
        await talk(house.turns(model, summariser=cheap), house)
    (made,) = await house.store.summaries.list("local", "api:s")
    assert (made.made_by, len(model.sums), len(cheap.sums)) == ("cheap", 0, 1)


async def test_a_later_summary_is_made_of_the_earlier_one_too(house: House) -> None:
    model = SmallContext(6_000)
    turns = house.turns(model)
    async with asyncio.timeout(60):
        await turns.start(ask("Remind me to call +49 30 5550199 about the boat Marlin-7.")).result()
        await talk(turns, house, cuts=3, most=120)
    first, *_, last = await house.store.summaries.list("local", "api:s")
    assert "Earlier summary:\n## Who and what" in words_of(model.sums[1].messages[0])
    assert all(value in cut.text for value in ("+49 30 5550199", "Marlin-7", "Remind me to call") for cut in (first, last))
    assert sum(prompt[1:2] != () and prompt[1].id.startswith(SUMMARY_ID) for prompt in model.prompts) == 0


async def test_what_learns_from_messages_sees_them_before_they_are_cut_off(house: House) -> None:
    seen: list[tuple[str, str, int, int]] = []

    async def learn(owner: str, session: str, up_to: int) -> None:
        seen.append((owner, session, up_to, len(await house.store.summaries.list(owner, session))))
        raise RuntimeError("what it does wrong is its own")

    async with asyncio.timeout(60):
        await talk(house.turns(SmallContext(6_000), before=learn), house)
    (made,) = await house.store.summaries.list("local", "api:s")
    assert seen == [("local", "api:s", made.seq - 1, 0)]


async def test_old_results_of_tools_go_first(house: House) -> None:
    model = SmallContext(8_000)
    tool = LongResult()
    turns = house.turns(model, tools=[tool])
    async with asyncio.timeout(60):
        for _ in range(7):
            await turns.start(ask("CALL look")).result()
        await until_cut(house)
        (made,) = await house.store.summaries.list("local", "api:s")
        assert (made.seq, made.text, model.sums) == (1, "", [])
        await turns.start(ask("and now?")).result()
    results = [message.text for message in model.prompts[-1] if isinstance(message, ToolMessage)]
    assert len(results) == 7
    assert results[0].startswith("[Shortened to make room: 3,000 characters that began 'found it")
    assert "search_history finds it in message msg_" in results[0]
    assert results[-1] == tool.text
    assert [message.text for message in await house.kept() if isinstance(message, ToolMessage)] == [tool.text] * 7
    again = SmallContext(8_000)
    await house.turns(again).start(ask("after a restart")).result()
    assert [message.text for message in again.prompts[0] if isinstance(message, ToolMessage)] == results


async def test_calls_keep_their_results_and_every_prompt_is_whole(house: House) -> None:
    model = SmallContext(4_000)
    turns = house.turns(model, tools=[LongResult()])
    async with asyncio.timeout(60):
        for number in range(60):
            await turns.start(ask("CALL look" if number % 3 else filler(number))).result()
    assert len(await house.store.summaries.list("local", "api:s")) > 2
    assert all(heal(prompt) == list(prompt) for prompt in model.prompts)
    assert all(isinstance(prompt[0], UserMessage) for prompt in model.prompts)
    assert model.refused == 0


async def test_two_processes_see_each_others_cuts(house: House) -> None:
    model = SmallContext(6_000)
    one, other = house.turns(model), house.turns(model)
    async with asyncio.timeout(60):
        await other.start(ask("hello")).result()
        await talk(one, house)
        await other.start(ask("from the other")).result()
        await one.start(ask("from the one")).result()
    theirs, ours = model.prompts[-2:]
    assert summary_in(theirs)
    assert ours[: len(theirs)] == theirs


async def test_a_chat_is_told_of_each_cut_once_and_the_api_never(house: House) -> None:
    model = SmallContext(6_000)
    turns = house.turns(model)
    async with asyncio.timeout(60):
        while len(cuts := await house.store.summaries.list("local", "api:s")) < 2:
            request = ask(filler(len(model.prompts)))
            await turns.start(replace(request, reply=Told(request.id))).result()
        await talk(turns, house, cuts=3)
    rows = await house.store.database.read(lambda connection: connection.execute("SELECT payload FROM outbox ORDER BY seq"))
    told = [row for (row,) in rows if "cut at" in row]
    assert [f"cut at {cut.seq}" in row for cut, row in zip(cuts, told, strict=True)] == [True, True]


async def test_a_history_that_a_client_brings_is_summed_up_without_a_model_and_kept_nowhere(house: House) -> None:
    model = SmallContext(6_000)
    earlier = [
        each
        for number in range(60)
        for each in (HistoryMessage(content=(UserText(text=filler(number)),)), AssistantMessage(id=f"msg_{number}", text="Yes."))
    ]
    request = replace(ask("and now?", f"{ONCE}1"), history=(HistoryMessage(content=(UserText(text="My code is KX-99."),)), *earlier))
    async with asyncio.timeout(60):
        await house.turns(model).start(request).result()
    assert "KX-99" in summary_in(model.prompts[-1])
    assert (model.sums, model.refused) == ([], 0)
    assert await house.store.summaries.list("local", f"{ONCE}1") == []


async def test_a_session_over_the_line_by_one_long_turn_asks_for_no_summary_each_time(house: House) -> None:
    model = SmallContext(6_000)
    turns = house.turns(model)
    async with asyncio.timeout(60):
        for number in range(3):
            await turns.start(ask(f"{number} " + "long " * 2_900)).result()
            await turns.start(ask("short")).result()
    assert len(model.sums) <= 4


async def test_a_count_of_the_provider_moves_the_line(house: House) -> None:
    """Of one that counts many tokens where one is estimated, a session is compacted all the earlier, and its summary is shorter."""
    usage = Usage(prompt_tokens=12_000, completion_tokens=1)
    model = ScriptedModel(AssistantMessage(id="msg_a", text="x", usage=usage), context_tokens=16_000)
    async with asyncio.timeout(60):
        assert await talk(house.turns(model), house) < 12
    (made,) = await house.store.summaries.list("local", "api:s")
    assert made.tokens < 16_000 * 0.15 / 2
