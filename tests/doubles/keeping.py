"""A tool that keeps things and reports each of them."""

from typing import ClassVar, Literal

from pydantic import BaseModel

from assistant.contracts.effects import Effect
from assistant.contracts.tools import ToolContext, ToolResult


class Keeping(BaseModel):
    """What to keep."""

    things: list[str] = ["tea"]


class KeepTool:
    """Its effects are of the kind "remembered"."""

    name: ClassVar[str] = "keep"
    description: ClassVar[str] = "Keep something."
    params: ClassVar[type[BaseModel]] = Keeping
    reads_only: ClassVar[bool] = False
    happens_once: ClassVar[Literal[True]] = True
    reports_effects: ClassVar[Literal[True]] = True
    timeout: ClassVar[float] = 5.0

    async def run(self, params: Keeping, ctx: ToolContext) -> ToolResult:
        return ToolResult(text="Kept.", effects=tuple([kept(thing) for thing in params.things]))


def kept(thing: str) -> Effect:
    return Effect(kind="remembered", text=f"remembered · {thing}", ref=f"mem_{thing}")
