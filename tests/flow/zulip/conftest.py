"""A Zulip server on loopback, and a channel that is connected to it."""

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from assistant.contracts.channels import ChannelContext
from assistant.contracts.notes import NotesInMemory
from assistant.testing.platform import FolderFiles, RecordingLink, running
from channels.zulip.adapter import ZulipChannel
from channels.zulip.settings import ZulipSettings
from tests.doubles.zulip_server import EMAIL, KEY, ZulipServer

Connected = Callable[..., AbstractAsyncContextManager[tuple[ZulipChannel, RecordingLink]]]


@pytest.fixture
async def server() -> AsyncGenerator[ZulipServer]:
    async with ZulipServer() as server:
        yield server


@pytest.fixture
def files(tmp_path: Path) -> FolderFiles:
    return FolderFiles(tmp_path)


@pytest.fixture
def connected(server: ZulipServer, files: FolderFiles) -> Connected:
    """`async with connected(groups="all") as (channel, link)`: with these settings."""
    notes = NotesInMemory()

    @asynccontextmanager
    async def run(link: RecordingLink | None = None, **settings: object) -> AsyncGenerator[tuple[ZulipChannel, RecordingLink]]:
        given = {"enabled": True, "site": server.url, "email": EMAIL, "apiKey": KEY, **settings}
        context = ChannelContext(files=files, version="1", notes=notes)
        channel = ZulipChannel(ZulipSettings.model_validate(given), context, pause=0.01)
        try:
            async with running(channel, link) as heard:
                yield channel, heard
        finally:
            await channel.close()

    return run
