"""What the assistant reaches in these tests: pages, a search and an MCP server on loopback; and two tools that change it, of which there is none."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from aiohttp import web
from pydantic import BaseModel

from assistant.contracts.gate import Action
from assistant.contracts.provenance import Provenance
from assistant.contracts.tools import ToolContext, ToolKind, ToolResult, ToolServices
from tests.doubles.mcp_program import Answers, tool

READING = "minutes"
"""Stands in all that the assistant is asked to read, and in nothing that it is to do."""


@dataclass
class World:
    """What the tools read, and what they did."""

    material: str = ""
    acted: list[str] = field(default_factory=list[str])

    async def page(self, request: web.Request) -> web.Response:
        """A page, or a SearXNG's answer; what was asked for is noted."""
        if READING not in request.path_qs:
            self.acted.append(request.path_qs)
        text = self.material or "Tea: 3"
        if request.path == "/search":
            found = {"title": "Found", "url": "https://found.example/", "content": text}
            return web.json_response({"results": [found]})
        return web.Response(text=text)


class Mail(Answers):
    """An MCP server that reads and sends."""

    def __init__(self, folder: Path, world: World) -> None:
        self.world = world
        listed = [tool("send", "Send a mail.", reads=False, text="string"), tool("read", "Read the newest mail.")]
        (folder / "tools.json").write_text(json.dumps(listed))
        super().__init__(folder)

    def to(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        if method == "resources/list":
            return {"resources": [{"uri": "note://one", "name": "one", "description": self.world.material or "A note"}]}
        return super().to(method, params)

    def call(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        if name == "send":
            self.world.acted.append(f"mail {arguments}")
        return {"content": [{"type": "text", "text": self.world.material if name == "read" else "sent"}]}


class Arguments(BaseModel):
    code: str


@dataclass
class ChangingTool:
    """Would change the assistant itself."""

    world: World
    name: str
    description: ClassVar[str] = "Does as it is called."
    params: ClassVar[type[BaseModel]] = Arguments
    reads_only: ClassVar[bool] = False
    actions: ClassVar[frozenset[Action]] = frozenset({"changes itself"})
    brings: ClassVar[Provenance] = "system"
    timeout: ClassVar[float] = 10.0

    def subject(self, params: Arguments, ctx: ToolContext) -> str:
        return params.code

    async def run(self, params: Arguments, ctx: ToolContext) -> ToolResult:
        self.world.acted.append(f"{self.name} {params.code}")
        return ToolResult(text="done")


def kinds(world: World) -> list[ToolKind]:
    """To be offered beside our own."""

    def kind(name: str) -> ToolKind:
        def make(settings: Any, services: ToolServices) -> Any:
            return ChangingTool(world, name)

        return ToolKind(name=name, open=make)

    return [kind("approve"), kind("link_identity")]
