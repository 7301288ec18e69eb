"""A helper's calls pass the gates of its own agent and of those that asked: the strictest counts."""

from pathlib import Path
from typing import ClassVar, Literal

import pytest
from pydantic import BaseModel

from assistant.agent.toolbox import Toolbox
from assistant.contracts.gate import Action, PlannedCall, Ruling
from assistant.contracts.messages import ToolCall
from assistant.contracts.provenance import Provenance
from assistant.contracts.tools import ToolContext, ToolResult
from assistant.store.database import AttachmentSettings, StoreSettings
from assistant.store.store import open_store

Verdict = Literal["allow", "ask", "refuse"]
VERDICTS: tuple[Verdict, ...] = ("allow", "ask", "refuse")
CTX = ToolContext(owner="anna", session="task:t", turn_id="turn_1", call_id="call_1")


class Nothing(BaseModel):
    pass


class Acts:
    name: ClassVar[str] = "act"
    description: ClassVar[str] = "Act."
    params: ClassVar[type[BaseModel]] = Nothing
    reads_only: ClassVar[bool] = False
    actions: ClassVar[frozenset[Action]] = frozenset({"network"})
    brings: ClassVar[Provenance] = "system"
    timeout: ClassVar[float] = 5

    async def run(self, params: Nothing, ctx: ToolContext) -> ToolResult:
        return ToolResult(text="acted")


class Always:
    """A gate with one answer."""

    def __init__(self, verdict: Verdict, name: str) -> None:
        self._ruling = Ruling(verdict=verdict, why="" if verdict == "allow" else f"{name} says {verdict}")

    async def rule(self, call: PlannedCall, ctx: ToolContext) -> Ruling:
        return self._ruling


@pytest.mark.parametrize("asked", VERDICTS)
@pytest.mark.parametrize("own", VERDICTS)
async def test_the_strictest_gate_counts(own: Verdict, asked: Verdict, tmp_path: Path) -> None:
    store = await open_store(StoreSettings(), tmp_path, AttachmentSettings())
    parent = Toolbox([Acts()], store.attachments, gate=Always(asked, "the parent"))
    box = Toolbox([Acts()], store.attachments, gate=Always(own, "its own")).guarded([parent])
    (result,) = await box.run([ToolCall(id="call_1", name="act", arguments="{}")], CTX, lambda event: None)
    strictest = max((own, asked), key=VERDICTS.index)
    assert result.ok == (strictest == "allow")
    who = "its own" if VERDICTS.index(own) >= VERDICTS.index(asked) else "the parent"
    assert result.text == ("acted" if strictest == "allow" else f"Not run: {who} says {strictest}")
    await store.close()
