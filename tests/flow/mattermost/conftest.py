"""A Mattermost server on loopback, and a channel that is connected to it."""

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from assistant.contracts.channels import ChannelContext
from assistant.contracts.notes import NotesInMemory
from assistant.testing.platform import FolderFiles, RecordingLink, running
from channels.mattermost.adapter import MattermostChannel
from channels.mattermost.settings import MattermostSettings
from tests.doubles.mattermost_server import TOKEN, MattermostServer

Connected = Callable[..., AbstractAsyncContextManager[tuple[MattermostChannel, RecordingLink]]]


@pytest.fixture
async def server() -> AsyncGenerator[MattermostServer]:
    async with MattermostServer() as server:
        yield server


@pytest.fixture
def files(tmp_path: Path) -> FolderFiles:
    return FolderFiles(tmp_path)


@pytest.fixture
def connected(server: MattermostServer, files: FolderFiles) -> Connected:
    """`async with connected(groups="all") as (channel, link)`: with these settings."""
    notes = NotesInMemory()

    @asynccontextmanager
    async def run(link: RecordingLink | None = None, **settings: object) -> AsyncGenerator[tuple[MattermostChannel, RecordingLink]]:
        given = {"enabled": True, "serverUrl": server.url, "token": TOKEN, **settings}
        context = ChannelContext(files=files, version="1", notes=notes)
        channel = MattermostChannel(MattermostSettings.model_validate(given), context, pause=0.01)
        try:
            async with running(channel, link) as heard:
                yield channel, heard
        finally:
            await channel.close()

    return run
