"""What tests of MCP share: a store, and servers that are programs in a plain process."""

import json
import sys
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any

import pytest

from assistant.app.mcp import keeper
from assistant.contracts.secrets import NoSecrets
from assistant.contracts.tools import Tool, ToolContext, ToolResult
from assistant.documents.reader import ChildReader
from assistant.documents.settings import DocumentSettings
from assistant.mcp.service import McpServers
from assistant.mcp.settings import McpServer, McpSettings
from assistant.store.database import AttachmentSettings, StoreSettings
from assistant.store.store import Store, open_store
from tests.doubles.mcp_program import tool
from tests.doubles.plain_sandbox import PlainSandbox

TOOLS = [tool("look_up", "Look something up.", what="string"), tool("note", "Write a note.", reads=False, text="string")]


class Rig:
    """Servers as a process has them; `again` is another process on the same store."""

    def __init__(self, store: Store, folder: Path) -> None:
        self.store = store
        self.folder = folder
        self.sandbox = PlainSandbox()
        self.opened: list[McpServers] = []

    def program(self, name: str = "one", tools: Sequence[dict[str, Any]] = TOOLS) -> Path:
        """The folder of a program's tools."""
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        lists(folder, tools)
        return folder

    def settings(self, name: str = "one", **more: Any) -> McpServer:
        argv = ["-m", "tests.doubles.mcp_program", str(self.folder / name)]
        return McpServer.model_validate({"command": sys.executable, "args": argv, **more})

    def open(self, most_tools: int = 30, idle: float = 300, **servers: McpServer) -> McpServers:
        settings = McpSettings(servers=servers, most_tools=most_tools, idle=idle)
        reader = ChildReader(DocumentSettings())
        made = McpServers(
            settings,
            self.store.mcp,
            workspace=self.folder / "workspace",
            keep=keeper(reader, self.store.attachments, self.folder / "spool"),
            secrets=NoSecrets(),
            sandbox=self.sandbox,
        )
        self.opened.append(made)
        return made


def lists(folder: Path, tools: Sequence[dict[str, Any]]) -> None:
    """What the server of this folder lists from now on."""
    (folder / "tools.json").write_text(json.dumps(list(tools)))


def context(owner: str = "local", session: str = "api:s") -> ToolContext:
    return ToolContext(owner=owner, session=session, turn_id="turn_1", call_id="call_1", call_place="0.0", pictures=4)


async def names(servers: McpServers, owner: str = "local", session: str = "api:s") -> list[str]:
    return [each.name for each in await servers.offered(None, owner, session)]


async def the_tool(servers: McpServers, name: str, owner: str = "local", session: str = "api:s") -> Tool[Any]:
    return next(each for each in await servers.offered(None, owner, session) if each.name == name)


async def call(servers: McpServers, name: str, arguments: dict[str, Any], owner: str = "local") -> ToolResult:
    found = await the_tool(servers, name, owner)
    return await found.run(found.params.model_validate(arguments), context(owner))


def count(folder: Path, what: str) -> int:
    path = folder / what
    return len(path.read_text()) if path.exists() else 0


@pytest.fixture
async def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Rig]:
    """On a machine that is busy with other tests, too, the first turn waits for a server that answers."""
    monkeypatch.setattr("assistant.mcp.service.FIRST_WAIT", 60.0)
    store = await open_store(StoreSettings(), tmp_path / "state", AttachmentSettings())
    rig = Rig(store, tmp_path)
    yield rig
    for each in rig.opened:
        await each.close()
    assert all(process.ended for process in rig.sandbox.processes)
    await store.close()
