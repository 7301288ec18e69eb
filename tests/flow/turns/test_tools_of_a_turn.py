"""Tools that a turn brings along, and those of ours that it may use."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest

from assistant.contracts.errors import InvalidRequest, ToolFailed
from assistant.contracts.messages import ToolMessage
from assistant.contracts.models import ToolSpec
from assistant.contracts.tools import ToolContext, ToolResult, TurnTool
from assistant.contracts.turns import TurnFinished, TurnRequest
from assistant.testing.scripted import ScriptedModel, calling
from tests.flow.turns.house import House, ask

OURS = ["list_attachments", "read_attachment"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Brought:
    """A tool of the caller."""

    name: str = "lookup"
    answer: str | Exception = "found"
    timeout: float = 5.0
    given: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    @property
    def spec(self) -> ToolSpec:
        return ToolSpec(name=self.name, description="Looks up.", parameters={"type": "object"})

    async def run(self, arguments: dict[str, Any], ctx: ToolContext) -> ToolResult:
        self.given.append(arguments)
        if isinstance(self.answer, Exception):
            raise self.answer
        if not self.answer:
            await asyncio.Event().wait()
        return ToolResult(text=self.answer)


def request(*tools: TurnTool, only: frozenset[str] | None = None) -> TurnRequest:
    asked = ask("look it up")
    return TurnRequest(id=asked.id, owner=asked.owner, session=asked.session, content=asked.content, tools=tools, only_tools=only)


async def answered(house: House, model: ScriptedModel, turn: TurnRequest) -> TurnFinished:
    async with asyncio.timeout(30):
        return await house.turns(model).start(turn).result()


def offered(model: ScriptedModel, call: int = 0) -> list[str]:
    return [tool.name for tool in model.requests[call].tools]


@pytest.mark.parametrize(
    ("arguments", "answer", "told"),
    [
        ('{"word": "x"}', "found", "found"),
        ("", "found", "found"),
        ("[1]", "found", "must be a JSON object"),
        ("{", "found", "must be a JSON object"),
        ("{}", ToolFailed("no such word"), "no such word"),
        ("{}", LookupError("oops"), "a fault of its own"),
        ("{}", "", "did not end within 0.1 s"),
    ],
)
async def test_what_a_brought_tool_answers_is_read_by_the_model(house: House, arguments: str, answer: str | Exception, told: str) -> None:
    tool = Brought(answer=answer, timeout=0.1 if not answer else 30)
    model = ScriptedModel(calling(("lookup", arguments)), "done")
    assert (await answered(house, model, request(tool))).text == "done"
    (result,) = [message for message in await house.kept() if isinstance(message, ToolMessage)]
    assert told in result.text
    assert offered(model) == [*OURS, "lookup"]


async def test_a_brought_tool_is_gone_with_its_turn(house: House) -> None:
    model = ScriptedModel("one", "two")
    await answered(house, model, request(Brought()))
    await answered(house, model, request())
    assert [offered(model, 0), offered(model, 1)] == [[*OURS, "lookup"], OURS]


@pytest.mark.parametrize("tools", [(Brought(name="read_attachment"),), (Brought(), Brought())])
async def test_a_name_that_is_taken_is_refused(house: House, tools: tuple[Brought, ...]) -> None:
    with pytest.raises(InvalidRequest, match="already"):
        await answered(house, ScriptedModel("never"), request(*tools))


async def test_what_a_turn_may_not_use_is_neither_offered_nor_run(house: House) -> None:
    model = ScriptedModel(calling(("list_attachments", "{}")), "done")
    await answered(house, model, request(only=frozenset({"read_attachment"})))
    assert offered(model) == ["read_attachment"]
    (result,) = [message for message in await house.kept() if isinstance(message, ToolMessage)]
    assert result.text == "There is no tool 'list_attachments'. The tools are: read_attachment."


async def test_a_turn_without_tools_lists_them_and_may_not_call(house: House) -> None:
    model = ScriptedModel("done")
    await answered(house, model, request(only=frozenset()))
    assert offered(model) == OURS
    assert not model.requests[0].may_call
