"""Tools whose calls need a yes, and the gate that says so."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import BaseModel

from assistant.contracts.effects import Effect
from assistant.contracts.gate import ALLOWED, Action, PlannedCall, Ruling
from assistant.contracts.provenance import Provenance
from assistant.contracts.tools import ToolContext, ToolResult

WHY = "It changes something outside of the workspace."


@dataclass(frozen=True, slots=True)
class AskingGate:
    """Wants a yes for some tools, and refuses others."""

    asks: Sequence[str] = ("press", "ring")
    refuses: Sequence[str] = ()

    async def rule(self, call: PlannedCall, ctx: ToolContext) -> Ruling:
        if call.tool in self.refuses:
            return Ruling(verdict="refuse", why="Not here.")
        return Ruling(verdict="ask", why=WHY) if call.tool in self.asks else ALLOWED


class Pressed(BaseModel):
    what: str
    times: int = 1


@dataclass(slots=True)
class Press:
    """Writes a line for each run into a file, which outlives the process; `happens once` is not among its promises."""

    log: Path
    name: ClassVar[str] = "press"
    description: ClassVar[str] = "Press a button."
    params: ClassVar[type[BaseModel]] = Pressed
    reads_only: ClassVar[bool] = False
    timeout: ClassVar[float] = 60
    actions: ClassVar[frozenset[Action]] = frozenset({"sends"})
    brings: ClassVar[Provenance] = "system"

    async def run(self, params: Pressed, ctx: ToolContext) -> ToolResult:
        with self.log.open("a", encoding="utf-8") as log:
            log.write(f"{params.what} {params.times}\n")
        return ToolResult(
            text=f"pressed {params.what}", effects=(Effect(kind="called", text=f"pressed {params.what}", ref=ctx.call_place),)
        )

    def subject(self, params: Pressed, ctx: ToolContext) -> str:
        return params.what


@dataclass(slots=True)
class Ring(Press):
    """As that, and harmless to run again at the same place."""

    name: ClassVar[str] = "ring"
    happens_once: ClassVar[Literal[True]] = True


class PressedLoudly(Pressed):
    loud: bool = True


@dataclass(slots=True)
class Renewed(Press):
    """The tool after an update that made its calls do something else."""

    params: ClassVar[type[BaseModel]] = PressedLoudly
