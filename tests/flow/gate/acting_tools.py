"""Small tools with the names, actions and subjects of those that act: what they did is a list. The real ones take their place where they exist."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from assistant.contracts.gate import READS, Action
from assistant.contracts.provenance import Provenance
from assistant.contracts.tools import ToolContext, ToolKind, ToolResult, ToolServices


class Arguments(BaseModel):
    """Of all of them."""

    url: str = ""
    query: str = ""
    command: str = ""
    hosts: list[str] = []
    path: str = ""
    text: str = ""
    task: str = ""
    code: str = ""


@dataclass
class World:
    """What the tools read, and what they did."""

    material: str = ""
    acted: list[str] = field(default_factory=list[str])
    delegate: Callable[[str, ToolContext], Awaitable[str]] | None = None


@dataclass
class ActingTool:
    """`names`: the argument that the subject is."""

    world: World
    services: ToolServices
    name: str
    actions: frozenset[Action]
    brings: Provenance
    names: str = ""
    description: str = "Does as it is called."
    params: type[BaseModel] = Arguments
    timeout: float = 10.0

    @property
    def reads_only(self) -> bool:
        return self.actions == READS

    def subject(self, params: Arguments, ctx: ToolContext) -> str:
        return str(getattr(params, self.names)) if self.names else ""

    async def run(self, params: Arguments, ctx: ToolContext) -> ToolResult:
        if self.name == "delegate" and self.world.delegate is not None:
            return ToolResult(text=await self.world.delegate(params.task, ctx))
        if self.name == "write_file":
            path = self.services.workspace / "people" / "owner" / params.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(params.text)
            return ToolResult(text="written")
        if params.url:
            async with self.services.http() as http, http.get(params.url) as answer:
                return ToolResult(text=await answer.text())
        if self.world.material or self.actions == READS or self.name.endswith("_read"):
            return ToolResult(text=self.world.material or "nothing")
        self.world.acted.append(f"{self.name} {self.subject(params, ctx)}")
        return ToolResult(text="done")


def kinds(world: World) -> list[ToolKind]:
    """To be offered beside our own."""
    given: list[tuple[str, set[Action], Provenance, str]] = [
        ("fetch_page", {"network"}, "web", "url"),
        ("search_web", {"network"}, "web", "query"),
        ("run", {"writes workspace", "network"}, "tool", "command"),
        ("mcp_mail_send", {"network", "sends"}, "mcp", ""),
        ("mcp_notes_read", {"network"}, "mcp", ""),
        ("find_tools", {"reads"}, "mcp", ""),
        ("read_file", {"reads"}, "file", "path"),
        ("write_file", {"writes workspace"}, "system", "path"),
        ("approve", {"changes itself"}, "system", "code"),
        ("link_identity", {"changes itself"}, "system", "code"),
        ("delegate", {"spends"}, "tool", ""),
    ]

    def kind(name: str, actions: set[Action], brings: Provenance, names: str) -> ToolKind:
        def make(settings: Any, services: ToolServices) -> Any:
            return ActingTool(world, services, name, frozenset(actions), brings, names)

        return ToolKind(name=name, open=make)

    return [kind(*each) for each in given]
