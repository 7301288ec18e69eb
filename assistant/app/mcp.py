"""Builds the MCP servers, where there are some in the configuration."""

import asyncio
from contextlib import AsyncExitStack
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from assistant.config import Loaded
from assistant.config.agents import AgentSettings
from assistant.contracts.documents import DocumentReader, ReadImage
from assistant.contracts.errors import FileTooLarge
from assistant.contracts.messages import Document, Image
from assistant.contracts.records import record
from assistant.contracts.sandbox import Sandbox
from assistant.contracts.secrets import NoSecrets, Secrets
from assistant.contracts.tools import SessionTools
from assistant.contracts.turns import Upload
from assistant.contracts.util import display_name, new_id
from assistant.store.attachments import AttachmentStore
from assistant.store.store import Store
from assistant.turns.intake import document_parts

if TYPE_CHECKING:
    from assistant.mcp.results import KeepFile
    from assistant.mcp.service import McpServers

_MOST_BYTES = 10_000_000
"""Of a file that a result holds."""
_CHARS = 20_000
"""Characters of a document's text that are part of the result; the rest can be paged through."""


@record
class OpenMcp:
    """None: no server is configured, and nothing of this is imported."""

    servers: "McpServers | None"

    def of_agent(self, settings: AgentSettings) -> SessionTools | None:
        """What an agent has of the servers, by session; None: nothing."""
        names = settings.mcp if settings.mcp is not None or settings.tools is None else ()
        return None if self.servers is None or names == () else partial(self.servers.offered, names)


def build_mcp(
    loaded: Loaded,
    store: Store,
    reader: DocumentReader,
    opened: AsyncExitStack,
    *,
    sandbox: Sandbox | None = None,
    secrets: Secrets | None = None,
) -> OpenMcp:
    """`sandbox`: where servers that are programs run; None: they do not. `opened`: closes the connections."""
    config = loaded.config.mcp
    if not any(server.enabled for server in config.servers.values()):
        return OpenMcp(servers=None)
    from assistant.mcp.service import McpServers  # noqa: PLC0415 - most people have no servers

    keep = keeper(reader, store.attachments, loaded.home / "spool")
    servers = McpServers(config, store.mcp, workspace=loaded.workspace, keep=keep, secrets=secrets or NoSecrets(), sandbox=sandbox)
    opened.push_async_callback(servers.close)
    return OpenMcp(servers=servers)


def keeper(reader: DocumentReader, attachments: AttachmentStore, folder: Path) -> "KeepFile":
    """Keeps files that results hold as attachments of their session. `folder`: where they are put while they are read."""

    async def keep(owner: str, session: str, name: str, data: bytes) -> Image | Document:
        if len(data) > _MOST_BYTES:
            raise FileTooLarge(f"It is larger than {_MOST_BYTES // 1_000_000} MB.")
        path = folder / new_id("result")
        upload = Upload(name=display_name(name, "file"), path=path, size=len(data), digest=sha256(data).hexdigest())
        await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
        await asyncio.to_thread(path.write_bytes, data)
        try:
            read = await reader.read(upload)
            kept = await attachments.keep(owner, session, upload, read, used=True)
        finally:
            await asyncio.to_thread(path.unlink, missing_ok=True)
        if not isinstance(read, ReadImage):
            [document, *_] = document_parts(upload, kept, read, _CHARS, 0)
            assert isinstance(document, Document)
            return document
        return Image(
            attachment_id=kept,
            name=upload.name,
            media_type=read.media_type,
            width=read.width,
            height=read.height,
            size=upload.size,
            original=read.original,
        )

    return keep
