"""Tools that the client runs between two requests, beside an agent's own."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from assistant.contracts.errors import ContextLengthExceeded, InvalidRequest, NanobotError, ProviderFailed
from assistant.contracts.messages import AssistantMessage, Message, ToolCall, ToolMessage
from assistant.contracts.models import NamedTool, ToolChoice, ToolSpec
from assistant.contracts.turns import HistoryMessage, TextDelta, TurnFinished, TurnRequest, UserText
from assistant.contracts.util import new_id
from assistant.testing.scripted import ScriptedModel, calling
from assistant.turns.service import Turns
from tests.flow.turns.house import House, ask

OURS = ["list_attachments", "read_attachment"]


def tool(name: str = "look") -> ToolSpec:
    return ToolSpec(name=name, description="Looks.", parameters={"type": "object"})


LOOK = tool()


def asked(text: str = "go", *, tools: Sequence[ToolSpec] = (LOOK,), choice: ToolChoice | None = None, stream: bool = False) -> TurnRequest:
    return replace(ask(text, stream=stream), client_tools=tuple(tools), tool_choice=choice)


def told(*results: tuple[str, str], text: str = "", tools: Sequence[ToolSpec] = (LOOK,)) -> TurnRequest:
    """A request with results of the client's tools, and words behind them."""
    content = (UserText(text=text),) if text else ()
    messages = tuple([ToolMessage(id=new_id("msg"), call_id=call, name="", text=words) for call, words in results])
    return replace(ask(""), content=content, results=messages, client_tools=tuple(tools))


async def ended(turns: Turns, request: TurnRequest) -> TurnFinished:
    async with asyncio.timeout(30):
        return await turns.start(request).result()


def calls_of(end: TurnFinished) -> list[ToolCall]:
    return [call for answer in end.answers for call in answer.tool_calls]


def offered(model: ScriptedModel, call: int = -1) -> list[str]:
    return [spec.name for spec in model.requests[call].tools]


def shape(messages: Sequence[Message]) -> list[str]:
    """Who says what, in short."""
    return [f"tool:{message.name}={message.text}" if isinstance(message, ToolMessage) else message.role for message in messages]


async def test_a_call_of_the_clients_tool_ends_the_turn_and_its_result_goes_on(house: House) -> None:
    model = ScriptedModel(calling(("look", '{"at": "it"}'), text="One moment."), "It is red.")
    turns = house.turns(model)
    first = await ended(turns, asked())
    (call,) = calls_of(first)
    assert (first.text, first.finish_reason, call.name, call.arguments) == ("One moment.", "tool_calls", "look", '{"at": "it"}')
    assert offered(model) == [*OURS, "look"]
    second = await ended(turns, told((call.id, "red")))
    assert (second.text, second.finish_reason, second.answers) == ("It is red.", "stop", ())
    assert second.usage.prompt_tokens == 10
    assert shape(model.requests[-1].messages) == ["user", "assistant", "tool:look=red"]
    kept = await house.kept()
    assert shape(kept) == ["user", "assistant", "tool:look=red", "assistant"]
    assert isinstance(kept[2], ToolMessage)
    assert kept[2].from_client


async def test_another_process_goes_on_with_the_result(house: House) -> None:
    model = ScriptedModel(calling(("look", "{}")), "done")
    (call,) = calls_of(await ended(house.turns(model), asked()))
    assert (await ended(house.turns(model), told((call.id, "red")))).text == "done"
    assert shape(model.requests[-1].messages) == ["user", "assistant", "tool:look=red"]


async def test_ours_run_and_are_stored_where_a_step_calls_both(house: House) -> None:
    model = ScriptedModel(calling(("look", "{}"), ("list_attachments", "{}"), ("look", '{"n": 2}')), "done")
    turns = house.turns(model)
    first = await ended(turns, asked())
    one, two = calls_of(first)
    assert [one.arguments, two.arguments] == ["{}", '{"n": 2}']
    assert shape(await house.kept()) == ["user", "assistant", "tool:list_attachments=There are no files in this conversation."]
    await ended(turns, told((two.id, "second"), (one.id, "first")))
    assert shape(model.requests[-1].messages) == [
        "user", "assistant", "tool:list_attachments=There are no files in this conversation.", "tool:look=first", "tool:look=second",
    ]  # fmt: skip


async def test_steps_of_ours_come_before_the_clients_and_their_words_are_joined(house: House) -> None:
    model = ScriptedModel(calling(("list_attachments", "{}"), text="First."), calling(("look", "{}"), text="Then."), "done")
    turns = house.turns(model)
    turn = turns.start(asked(stream=True))
    said: list[str] = []
    async with asyncio.timeout(30):
        async for batch in turn.events():
            said += [event.text for event in batch if isinstance(event, TextDelta)]
    first = await turn.result()
    assert ("".join(said), first.text, first.answers[0].text) == ("First.\n\nThen.",) * 3
    assert [call.name for call in calls_of(first)] == ["look"]
    assert first.usage.prompt_tokens == 20


async def test_the_user_speaks_on_and_open_calls_are_closed(house: House) -> None:
    model = ScriptedModel(calling(("look", "{}"), ("look", "{}")), "well", "yes")
    turns = house.turns(model)
    one, _ = calls_of(await ended(turns, asked()))
    await ended(turns, told((one.id, "red"), text="never mind"))
    closed = "tool:look=No result: the conversation went on without one. Whether the call took effect is not known."
    expected = ["user", "assistant", "tool:look=red", closed, "user"]
    assert shape(model.requests[-1].messages) == expected
    await ended(house.turns(model), ask("and now?"))
    assert shape(model.requests[-1].messages) == [*expected, "assistant", "user"]
    assert shape(await house.kept()) == ["user", "assistant", "tool:look=red", "user", "assistant", "user", "assistant"]


@pytest.mark.parametrize(
    ("results", "words"),
    [
        ((), None),
        (("other",), "No call 'other' waits"),
        (("first",), "waits for a result, too"),
        (("first", "second", "other"), "No call 'other'"),
    ],
    ids=str,
)
async def test_results_that_do_not_fit_the_open_calls_are_refused_and_nothing_is_stored(
    house: House, results: tuple[str, ...], words: str | None
) -> None:
    model = ScriptedModel(calling(("look", "{}"), ("look", "{}")), "done")
    turns = house.turns(model)
    first, second = calls_of(await ended(turns, asked()))
    ids = {"first": first.id, "second": second.id}
    if words is not None:
        with pytest.raises(InvalidRequest, match=words):
            await ended(turns, told(*[(ids.get(name, name), name) for name in results]))
        assert shape(await house.kept()) == ["user", "assistant"]
    assert (await ended(turns, told((first.id, "a"), (second.id, "b")))).text == "done"


@pytest.mark.parametrize("session", ["none", "answered", "started over"])
async def test_a_result_where_nothing_waits_is_refused(house: House, session: str) -> None:
    turns = house.turns(ScriptedModel(calling(("look", "{}")), "done"))
    call = "call_1"
    if session != "none":
        (open_call,) = calls_of(await ended(turns, asked()))
        call = open_call.id
    if session == "answered":
        await ended(turns, told((call, "red")))
    if session == "started over":
        await turns.start_over("local", "api:s")
    before = shape(await house.kept())
    with pytest.raises(InvalidRequest, match="waits for a result in this session"):
        await ended(turns, told((call, "red")))
    assert shape(await house.kept()) == before


async def test_results_that_a_failed_turn_took_may_come_again(house: House) -> None:
    model = ScriptedModel(
        calling(("look", "{}")), ProviderFailed("down"), calling(("list_attachments", "{}")), ProviderFailed("down again"), "done"
    )
    turns = house.turns(model)
    (call,) = calls_of(await ended(turns, asked()))
    for _ in range(2):
        with pytest.raises(ProviderFailed):
            await ended(turns, told((call.id, "red")))
    assert (await ended(house.turns(model), told((call.id, "red")))).text == "done"
    listed = "tool:list_attachments=There are no files in this conversation."
    assert shape(model.requests[-1].messages) == ["user", "assistant", "tool:look=red", "assistant", listed]
    assert [message.role for message in await house.kept()].count("tool") == 2


async def test_a_history_ends_with_results_and_is_whole(house: House) -> None:
    model = ScriptedModel("done")
    called = AssistantMessage(id=new_id("msg"), tool_calls=(ToolCall(id="call_0", name="look", arguments="{}"),))
    result = ToolMessage(id=new_id("msg"), call_id="call_0", name="look", text="red")
    history = (HistoryMessage(content=(UserText(text="go"),)), called, replace(result, text="blue"), called)
    request = replace(ask("", "once:x"), content=(), history=history, results=(result,), client_tools=(LOOK,))
    assert (await ended(house.turns(model), request)).text == "done"
    assert shape(model.requests[-1].messages) == ["user", "assistant", "tool:look=blue", "assistant", "tool:look=red"]


async def test_a_tool_of_the_client_replaces_one_of_ours_with_its_name(house: House) -> None:
    model = ScriptedModel(calling(("read_attachment", '{"path": "/etc/hosts"}')), "done")
    theirs = tool("read_attachment")
    turns = house.turns(model)
    (call,) = calls_of(await ended(turns, asked(tools=(theirs,))))
    assert call.name == "read_attachment"
    assert offered(model) == ["list_attachments", "read_attachment"]
    assert model.requests[-1].tools[-1] == theirs
    await ended(turns, ask("plain"))
    assert offered(model) == OURS


@pytest.mark.parametrize(
    ("choice", "replies", "choices", "may_call"),
    [
        (None, [calling(("look", "{}"))], [None], [True]),
        ("auto", [calling(("list_attachments", "{}")), "done"], ["auto", None], [True, True]),
        ("none", ["done"], [None], [False]),
        ("required", [calling(("list_attachments", "{}")), calling(("look", "{}"))], ["required"] * 2, [True, True]),
        (NamedTool(name="look"), [calling(("look", "{}"))], [NamedTool(name="look")], [True]),
        (
            NamedTool(name="list_attachments"),
            [calling(("list_attachments", "{}")), "done"],
            [NamedTool(name="list_attachments"), None],
            [True] * 2,
        ),
    ],
    ids=["left open", "auto", "none", "required", "a tool of the client", "a tool of ours"],
)
async def test_the_choice_holds_until_it_is_met(
    house: House, choice: ToolChoice | None, replies: list[AssistantMessage | str], choices: list[ToolChoice | None], may_call: list[bool]
) -> None:
    model = ScriptedModel(*replies)
    await ended(house.turns(model), asked(choice=choice))
    assert [request.tool_choice for request in model.requests] == choices
    assert [request.may_call for request in model.requests] == may_call


async def test_required_without_tools_of_the_client_means_ours_once(house: House) -> None:
    model = ScriptedModel(calling(("list_attachments", "{}")), "done")
    assert (await ended(house.turns(model), asked(tools=(), choice="required"))).text == "done"
    assert [request.tool_choice for request in model.requests] == ["required", None]


async def test_a_choice_that_nothing_can_meet_is_refused(house: House) -> None:
    with pytest.raises(InvalidRequest, match="neither one of 'tools' nor one of this agent's"):
        await ended(house.turns(ScriptedModel()), asked(choice=NamedTool(name="fly")))
    assert await house.kept() == []


async def test_the_last_step_offers_only_the_clients_tools_where_one_is_required(house: House) -> None:
    model = ScriptedModel(calling(("list_attachments", "{}")), calling(("look", "{}"), ("list_attachments", "{}")))
    end = await ended(house.turns(model, max_steps=1), asked(choice="required"))
    assert [call.name for call in calls_of(end)] == ["look"]
    assert offered(model) == ["look"]
    (_, _, _, last) = await house.kept()
    assert isinstance(last, AssistantMessage)
    assert [call.name for call in last.tool_calls] == ["look"]


async def test_at_the_limit_of_steps_the_answer_is_in_words(house: House) -> None:
    model = ScriptedModel(calling(("list_attachments", "{}")), calling(("look", "{}"), text="so far"))
    end = await ended(house.turns(model, max_steps=1), asked())
    assert (end.text, end.finish_reason, end.answers) == ("so far", "length", ())


async def test_a_client_may_make_more_rounds_than_the_agent_has_steps(house: House) -> None:
    model = ScriptedModel(*[calling(("look", f'{{"n": {n}}}')) for n in range(7)], "done")
    turns = house.turns(model, max_steps=2)
    end = await ended(turns, asked())
    for number in range(7):
        (call,) = calls_of(end)
        end = await ended(turns, told((call.id, str(number))))
    assert end.text == "done"
    assert shape(model.requests[-1].messages)[2::2] == [f"tool:look={n}" for n in range(7)]


async def test_results_that_do_not_fit_the_context_are_refused_before_they_are_stored(house: House) -> None:
    turns = house.turns(ScriptedModel(calling(("look", "{}")), "done", context_tokens=3_000))
    (call,) = calls_of(await ended(turns, asked()))
    with pytest.raises(ContextLengthExceeded, match="These results take about"):
        await ended(turns, told((call.id, "x" * 40_000)))
    assert (await ended(turns, told((call.id, "short")))).text == "done"


async def test_a_turn_that_is_stopped_in_its_second_half_leaves_the_session_valid(house: House) -> None:
    model = ScriptedModel(calling(("look", "{}")), ["half", " whole"], "done")
    turns = house.turns(model)
    (call,) = calls_of(await ended(turns, asked()))
    model.gate.clear()
    turn = turns.start(told((call.id, "red")))
    await model.asked_times(2)
    turn.cancel()
    with pytest.raises(NanobotError):
        await turn.result()
    model.gate.set()
    assert (await ended(turns, ask("and now?"))).text == "done"
    assert shape(model.requests[-1].messages) == ["user", "assistant", "tool:look=red", "assistant", "user"]


async def test_parallel_calls_are_as_the_client_says(house: House) -> None:
    model = ScriptedModel("done")
    await ended(house.turns(model), replace(asked(), parallel_calls=False))
    assert model.requests[0].parallel_calls is False
