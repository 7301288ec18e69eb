"""What tests of the web share: the tools on the real fetcher and reader, sites and names on loopback."""

import ssl
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import orjson

from assistant.agent.toolbox import Toolbox
from assistant.contracts.messages import ToolCall, ToolMessage
from assistant.contracts.tools import ToolContext
from assistant.documents.reader import ChildReader
from assistant.documents.settings import DocumentSettings
from assistant.fetching.fetcher import SafeFetcher
from assistant.fetching.hosts import HostLimits, Resolver
from assistant.fetching.pages import WebPages
from assistant.fetching.search import configured_search
from assistant.fetching.secrets import ConfiguredSecrets
from assistant.fetching.settings import SecretSettings, WebSettings
from assistant.store.database import StoreSettings
from assistant.store.store import Store, open_store
from tools.web import FetchPage, SearchWeb

CONTEXT = ToolContext(owner="anna", session="api:s", turn_id="turn_1", call_id="call_1", call_place="0.0", pictures=4)


@dataclass(kw_only=True)
class Web:
    toolbox: Toolbox
    store: Store
    fetcher: SafeFetcher
    pages: WebPages
    now: list[float] = field(default_factory=lambda: [1000.0])

    async def fetch(self, url: str, *, ctx: ToolContext = CONTEXT, **arguments: object) -> ToolMessage:
        return await self.call("fetch_page", ctx, url=url, **arguments)

    async def search(self, query: str, **arguments: object) -> ToolMessage:
        return await self.call("search_web", CONTEXT, query=query, **arguments)

    async def call(self, tool: str, ctx: ToolContext, **arguments: object) -> ToolMessage:
        call = ToolCall(id=ctx.call_id, name=tool, arguments=orjson.dumps(arguments).decode())
        (message,) = await self.toolbox.run([call], ctx, lambda _: None)
        return message


@asynccontextmanager
async def open_web(
    folder: Path,
    *,
    resolver: Resolver | None = None,
    secrets: Mapping[str, Mapping[str, Any]] | None = None,
    tls: ssl.SSLContext | None = None,
    seconds: float = 20,
    **settings: object,
) -> AsyncGenerator[Web]:
    """`settings`: of the section `web`; `secrets`: that section. A second passes between any two requests."""
    given = WebSettings.model_validate(settings)
    kept = ConfiguredSecrets({name: SecretSettings.model_validate(each) for name, each in (secrets or {}).items()})
    store = await open_store(StoreSettings(), folder / "state")
    reader = ChildReader(DocumentSettings())
    fetcher = SafeFetcher(given, kept, "test/1", resolver=resolver, tls=tls, limits=HostLimits(count().__next__), seconds=seconds)
    now = [1000.0]
    pages = WebPages(fetcher, reader, kept, folder / "spool", clock=lambda: now[0])
    tools = [FetchPage(pages, store.attachments), SearchWeb(configured_search(given, "test/1"))]
    try:
        yield Web(toolbox=Toolbox(tools, store.attachments), store=store, fetcher=fetcher, pages=pages, now=now)
        assert [path.name for path in (folder / "spool").glob("*")] == []
    finally:
        await reader.close()
        await store.close()
