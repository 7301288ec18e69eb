"""Turns that do not end well: the session says so, and goes on."""

import asyncio
from collections.abc import Callable

import pytest

from assistant.contracts.errors import (
    ContextLengthExceeded,
    NanobotError,
    ProviderFailed,
    SessionNotFound,
    ShuttingDown,
    TurnCancelled,
    TurnTimeout,
)
from assistant.contracts.messages import AssistantMessage
from assistant.contracts.models import ModelRequest
from assistant.contracts.turns import TurnFailed
from assistant.testing.scripted import ScriptedModel
from tests.flow.turns.house import House, ask, texts


@pytest.mark.parametrize(("said", "expected"), [((), ""), (("Half an ", "answer"), "Half an answer")])
async def test_a_failure_leaves_the_users_words_and_a_truthful_mark(house: House, said: tuple[str, ...], expected: str) -> None:
    class Failing(ScriptedModel):
        async def complete(self, request: ModelRequest, emit: Callable[[str], None]) -> AssistantMessage:
            if not self.requests:
                for piece in said:
                    emit(piece)
                self.requests.append(request)
                raise ProviderFailed("cut")
            return await super().complete(request, emit)

    model = Failing("first", "Here I am.")
    turns = house.turns(model)
    async with asyncio.timeout(10):
        turn = turns.start(ask("hello?", stream=True))
        events = [event async for batch in turn.events() for event in batch]
        assert isinstance(events[-1], TurnFailed)
        assert events[-1].error.code == "provider_error"
        mark = (await house.kept())[-1]
        assert isinstance(mark, AssistantMessage)
        assert (mark.text, mark.cut_off) == (expected, "failed")
        assert (await turns.start(ask("again?")).result()).text == "Here I am."
    assert texts(model.requests[1].messages) == ["hello?", expected, "again?"]


async def test_a_turn_that_takes_too_long_is_ended_and_says_so(house: House) -> None:
    model = ScriptedModel("slow", "quick")
    model.gate.clear()
    turns = house.turns(model, timeout=0.3)
    async with asyncio.timeout(10):
        first, waiting = turns.start(ask("1")), turns.start(ask("2"))
        for turn in (first, waiting):
            with pytest.raises(TurnTimeout):
                await turn.result()
    # The one that never left the lane was never accepted into the session.
    messages = await house.kept()
    assert texts(messages)[0] == "1"
    assert isinstance(messages[1], AssistantMessage)
    assert messages[1].cut_off == "timeout"
    assert len(messages) == 2


async def test_a_stopped_turn_keeps_the_words_said_so_far(house: House) -> None:
    model = ScriptedModel(["It was ", "a dark night"])
    model.gate.clear()
    turn = house.turns(model).start(ask("tell me", stream=True))
    async with asyncio.timeout(10):
        await model.asked_times(1)
        turn.cancel()
        with pytest.raises(TurnCancelled):
            await turn.result()
    assert texts(await house.kept()) == ["tell me", "It was "]


async def test_closing_waits_for_running_turns_and_interrupts_the_rest(house: House) -> None:
    model = ScriptedModel("x")
    turns = house.turns(model)
    model.gate.clear()
    turn = turns.start(ask("1"))
    async with asyncio.timeout(10):
        await model.asked_times(1)
        await turns.close(grace=0.05)
        with pytest.raises(ShuttingDown):
            await turn.result()
    with pytest.raises(ShuttingDown):
        turns.start(ask("2"))
    mark = (await house.kept())[-1]
    assert isinstance(mark, AssistantMessage)
    assert mark.cut_off == "interrupted"


async def test_a_message_that_can_not_fit_is_refused_and_not_stored(house: House) -> None:
    turns = house.turns(ScriptedModel("x", context_tokens=1_000))
    async with asyncio.timeout(10):
        with pytest.raises(ContextLengthExceeded):
            await turns.start(ask("long " * 1_000)).result()
    assert await house.kept() == []


async def test_a_session_is_deleted_after_the_turn_that_runs(house: House) -> None:
    model = ScriptedModel("x")
    turns = house.turns(model)
    model.gate.clear()
    turn = turns.start(ask("1"))
    async with asyncio.timeout(10):
        await model.asked_times(1)
        deletion = asyncio.create_task(turns.delete_session("local", "api:s"))
        model.gate.set()
        assert (await turn.result()).text == "x"
        await deletion
        assert await house.kept() == []
        with pytest.raises(SessionNotFound):
            await turns.delete_session("local", "api:s")
        await turns.start(ask("anew")).result()
    assert texts(model.requests[-1].messages) == ["anew"]


async def test_an_unexpected_fault_of_a_provider_is_an_error_of_ours_and_the_session_goes_on(house: House) -> None:
    class Broken(ScriptedModel):
        async def complete(self, request: ModelRequest, emit: Callable[[str], None]) -> AssistantMessage:
            if not self.requests:
                self.requests.append(request)
                raise ZeroDivisionError("a bug with a secret in it")
            return await super().complete(request, emit)

    turns = house.turns(Broken("x", "fine"))
    async with asyncio.timeout(10):
        with pytest.raises(NanobotError) as caught:
            await turns.start(ask("hi")).result()
        assert "secret" not in caught.value.message
        assert (await turns.start(ask("hi")).result()).text == "fine"
