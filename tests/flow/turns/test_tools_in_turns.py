"""A tool's outcome, good or bad, reaches the model; the log holds none of its text."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import ClassVar

import pytest
from pydantic import BaseModel

from assistant.agent.toolbox import MAX_CALLS, Toolbox
from assistant.contracts.addresses import Address
from assistant.contracts.errors import ToolFailed
from assistant.contracts.messages import ToolCall, ToolMessage
from assistant.contracts.tools import ToolContext, ToolResult
from assistant.contracts.turns import TurnEvent
from assistant.testing.scripted import ScriptedModel, calling
from tests.flow.turns.house import House, ask

CONTEXT = ToolContext(owner="local", session="api:s", turn_id="turn_1", call_id="")


class Params(BaseModel):
    word: str = "x"


class Played:
    """A tool that does what the test gave it."""

    name: ClassVar[str] = "play"
    description: ClassVar[str] = "Play."
    params: ClassVar[type[BaseModel]] = Params
    reads_only: ClassVar[bool] = True
    timeout: ClassVar[float] = 0.2

    def __init__(self, play: Callable[[str], Awaitable[str]]) -> None:
        self._play = play

    async def run(self, params: Params, ctx: ToolContext) -> ToolResult:
        return ToolResult(text=await self._play(params.word))


async def run(house: House, play: Callable[[str], Awaitable[str]], *words: str) -> list[ToolMessage]:
    calls = [ToolCall(id=f"call_{number}", name="play", arguments=f'{{"word": "{word}"}}') for number, word in enumerate(words)]
    events: list[TurnEvent] = []
    async with asyncio.timeout(30):
        return await Toolbox([Played(play)], house.store.attachments, result_chars=100).run(calls, CONTEXT, events.append)


async def test_a_tool_with_a_bug_is_told_to_the_model_and_logged_without_its_words(house: House, caplog: pytest.LogCaptureFixture) -> None:
    async def play(word: str) -> str:
        raise LookupError(f"no {word} here")

    (message,) = await run(house, play, "my private words")
    assert (message.ok, "a fault of its own" in message.text) == (False, True)
    assert "tool.bug tool=play turn=turn_1 call=call_0 error=LookupError at" in caplog.text
    assert "private" not in caplog.text + message.text


async def test_a_tool_that_can_not_says_so_in_its_own_words(house: House) -> None:
    async def play(word: str) -> str:
        raise ToolFailed("There is no such thing.")

    assert [(message.ok, message.text) for message in await run(house, play, "x")] == [(False, "There is no such thing.")]


async def test_a_tool_that_takes_too_long_is_stopped(house: House) -> None:
    stopped: list[str] = []

    async def play(word: str) -> str:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            stopped.append(word)
        return ""

    (message,) = await run(house, play, "x")
    assert (message.ok, "did not end within 0.2 s" in message.text, stopped) == (False, True, ["x"])


async def test_calls_that_only_read_run_side_by_side_and_answer_in_their_order(house: House) -> None:
    second_is_there = asyncio.Event()

    async def play(word: str) -> str:
        if word == "first":
            await second_is_there.wait()
        second_is_there.set()
        return word

    assert [message.text for message in await run(house, play, "first", "second")] == ["first", "second"]


async def test_more_calls_than_are_run_are_answered_all_the_same(house: House) -> None:
    async def play(word: str) -> str:
        return word

    messages = await run(house, play, *["x"] * (MAX_CALLS + 2))
    assert [message.ok for message in messages] == [True] * MAX_CALLS + [False] * 2
    assert len({message.call_id for message in messages}) == MAX_CALLS + 2


async def test_what_a_long_result_has_beyond_its_beginning_is_kept_for_reading_on(house: House) -> None:
    async def play(word: str) -> str:
        return "".join(f"line {number}\n" for number in range(100))

    (message,) = await run(house, play, "x")
    told = re.search(r'read_attachment\(id="(att_\w+)", offset=100\)', message.text)
    assert told is not None
    found = await house.store.attachments.document("local", "api:s", told[1])
    assert found is not None
    assert found[1].text == await play("x")
    assert message.text.startswith(found[1].text[:100])


async def test_a_tool_is_told_where_its_call_stands_in_the_turn_and_which_chat_the_turn_answers(house: House) -> None:
    told: list[ToolContext] = []

    class Noting(Played):
        reads_only: ClassVar[bool] = False

        async def run(self, params: Params, ctx: ToolContext) -> ToolResult:
            told.append(ctx)
            return ToolResult(text="done")

    async def nothing(word: str) -> str:
        return word

    chat = Address(channel="test", chat_id="7")
    model = ScriptedModel(calling(("play", "{}"), ("play", "{}")), calling(("play", "{}")), "Done.")
    async with asyncio.timeout(30):
        turn = house.turns(model, tools=[Noting(nothing)]).start(replace(ask("go"), address=chat))
        await turn.result()
    assert [(ctx.call_place, ctx.address) for ctx in told] == [("0.0", chat), ("0.1", chat), ("1.0", chat)]
    assert len({ctx.call_id for ctx in told}) == 3
