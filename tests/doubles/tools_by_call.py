"""A tool whose calls differ in what they do: it reads, or writes to another machine."""

from typing import ClassVar

from pydantic import BaseModel, Field

from assistant.contracts.gate import Action
from assistant.contracts.provenance import Provenance
from assistant.contracts.tools import ToolContext, ToolResult


class NoteParams(BaseModel):
    """Empty text: the note is read."""

    text: str = Field("", description="What the note is to say.")


class NoteTool:
    """Keeps one note, as if it were on another machine."""

    name: ClassVar[str] = "note"
    description: ClassVar[str] = "Read the note, or write it."
    params: ClassVar[type[BaseModel]] = NoteParams
    reads_only: ClassVar[bool] = False
    actions: ClassVar[frozenset[Action]] = frozenset({"reads"})
    brings: ClassVar[Provenance] = "web"
    timeout: ClassVar[float] = 5

    def __init__(self) -> None:
        self.text = "nothing"

    def actions_of_call(self, params: NoteParams) -> frozenset[Action]:
        """Writing leaves this machine."""
        return frozenset({"network"}) if params.text else self.actions

    async def run(self, params: NoteParams, ctx: ToolContext) -> ToolResult:
        self.text = params.text or self.text
        return ToolResult(text=self.text)
