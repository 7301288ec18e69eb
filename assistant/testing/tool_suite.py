"""The contract of a tool, as tests: subclass `ToolSuite` as `TestMine` and override its fixture. Needs pytest and pytest-asyncio."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
from pydantic import BaseModel, ValidationError

from assistant.contracts.errors import ToolFailed
from assistant.contracts.tools import ClosableTool, Tool, ToolContext, ToolKind, ToolResult

WITHIN: float = 30


@dataclass(kw_only=True)
class ToolCase:
    """The tool under test, and calls of it."""

    kind: ToolKind
    tool: Tool[Any]
    context: ToolContext
    good: dict[str, Any]
    """Arguments of a call that succeeds."""
    wrong: Sequence[dict[str, Any]]
    """Arguments that are refused, by validation or with ToolFailed."""
    effects: Callable[[], Awaitable[int]] | None = None
    """How many effects the calls have had; None: the tool changes nothing."""

    async def call(self, arguments: dict[str, Any]) -> ToolResult:
        return await self.tool.run(self.tool.params.model_validate(arguments), self.context)


class ToolSuite:
    pytestmark: ClassVar = [pytest.mark.asyncio]

    @pytest.fixture
    def case(self) -> ToolCase:
        """Override this."""
        raise NotImplementedError

    async def test_the_model_can_read_what_it_is(self, case: ToolCase) -> None:
        tool = case.tool
        assert re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", tool.name)
        assert tool.name == case.kind.name
        assert tool.description.strip()
        assert issubclass(tool.params, BaseModel)
        fields: dict[str, dict[str, object]] = tool.params.model_json_schema().get("properties", {})
        assert [name for name, field in fields.items() if not field.get("description")] == []
        assert tool.timeout > 0
        assert case.effects is None or not tool.reads_only

    async def test_a_good_call_has_a_result_in_words(self, case: ToolCase) -> None:
        assert (await case.call(case.good)).text.strip()

    async def test_wrong_arguments_are_refused_in_words(self, case: ToolCase) -> None:
        for arguments in case.wrong:
            with pytest.raises((ValidationError, ToolFailed)) as refused:
                await case.call(arguments)
            assert str(refused.value).strip()
        assert case.effects is None or await case.effects() == 0

    async def test_a_tool_that_reads_runs_side_by_side(self, case: ToolCase) -> None:
        if not case.tool.reads_only:
            pytest.skip("calls of this tool run one after the other")
        first, second = await asyncio.gather(case.call(case.good), case.call(case.good))
        assert first == second

    async def test_an_effect_happens_once_for_a_place_in_a_turn(self, case: ToolCase) -> None:
        if case.effects is None or not getattr(case.tool, "happens_once", False):
            pytest.skip("this tool does not promise `happens_once`")
        await case.call(case.good)
        await case.call(case.good)
        assert await case.effects() == 1

    async def test_a_call_can_be_cancelled_and_made_again(self, case: ToolCase) -> None:
        """As the toolbox does when `timeout` has passed."""
        call = asyncio.create_task(case.call(case.good))
        await asyncio.sleep(0)
        call.cancel()
        _, stuck = await asyncio.wait([call], timeout=WITHIN)
        assert not stuck, "`run` must end when it is cancelled"
        assert (await case.call(case.good)).text.strip()

    async def test_it_closes_after_a_call(self, case: ToolCase) -> None:
        await case.call(case.good)
        if isinstance(case.tool, ClosableTool):
            async with asyncio.timeout(WITHIN):
                await case.tool.close()
