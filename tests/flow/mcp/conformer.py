"""The client as the conformance suites start it: `python -m tests.flow.mcp.conformer URL`. Where the scenario is about logins, it logs in first,
with a browser that presses nothing; then it calls each tool that it is offered."""

import asyncio
import json
import os
import sys
import tempfile
from pathlib import Path

import httpx2

from assistant.app.mcp import keeper
from assistant.contracts.errors import ToolFailed
from assistant.contracts.secrets import NoSecrets
from assistant.documents.reader import ChildReader
from assistant.documents.settings import DocumentSettings
from assistant.mcp.login import log_in
from assistant.mcp.service import McpServers
from assistant.mcp.settings import McpServer, McpSettings
from assistant.store.database import AttachmentSettings, StoreSettings
from assistant.store.store import open_store

from .conftest import context

ARGUMENTS = {"add_numbers": {"a": 5, "b": 3}}


async def main(url: str) -> None:
    given = json.loads(os.environ.get("MCP_CONFORMANCE_CONTEXT") or "{}")
    known = {"clientId": given.get("client_id"), "clientSecret": given.get("client_secret")}
    server = McpServer.model_validate({"url": url, **{name: value for name, value in known.items() if value}})
    browsing: set[asyncio.Task[None]] = set()

    async def browse(address: str) -> None:
        async with httpx2.AsyncClient(follow_redirects=True, timeout=30) as browser:
            await browser.get(address)

    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        store = await open_store(StoreSettings(), home, AttachmentSettings())
        if os.environ.get("MCP_CONFORMANCE_SCENARIO", "").startswith("auth/"):
            granted = await log_in(server, {}, lambda address: browsing.add(asyncio.create_task(browse(address))))
            if granted is not None:
                await store.mcp.keep_grant("it", url, granted)
        keep = keeper(ChildReader(DocumentSettings()), store.attachments, home / "spool")
        servers = McpServers(McpSettings(servers={"it": server}), store.mcp, workspace=home, keep=keep, secrets=NoSecrets(), sandbox=None)
        await servers.servers["it"].link.connected()
        for tool in await servers.offered(None, "local", "api:s"):
            if tool.name.startswith("mcp_it_"):
                arguments = ARGUMENTS.get(tool.name.removeprefix("mcp_it_"), {})
                try:
                    print(tool.name, (await tool.run(tool.params.model_validate(arguments), context())).text)
                except ToolFailed as error:
                    print(tool.name, "failed:", error)
        await servers.close()
        await store.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
