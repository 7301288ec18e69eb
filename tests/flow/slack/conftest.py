"""A Slack workspace on loopback, and a channel that is connected to it."""

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from assistant.contracts.channels import ChannelContext
from assistant.testing.platform import FolderFiles, RecordingLink, running
from channels.slack.adapter import SlackChannel
from channels.slack.settings import SlackSettings
from tests.doubles.slack_server import APP_TOKEN, BOT_TOKEN, SECRET, SlackServer

Opened = Callable[..., SlackChannel]
Connected = Callable[..., AbstractAsyncContextManager[tuple[SlackChannel, RecordingLink]]]


@pytest.fixture
async def slack() -> AsyncGenerator[SlackServer]:
    async with SlackServer() as server:
        yield server


@pytest.fixture
def files(tmp_path: Path) -> FolderFiles:
    return FolderFiles(tmp_path)


@pytest.fixture
def opened(slack: SlackServer, files: FolderFiles) -> Opened:
    """With these settings; it is not connected."""

    def open(**settings: object) -> SlackChannel:
        given = {"botToken": BOT_TOKEN, "appToken": APP_TOKEN, "signingSecret": SECRET, "apiBase": f"{slack.url}/api", **settings}
        context = ChannelContext(files=files, version="1")
        return SlackChannel(SlackSettings.model_validate({"enabled": True, **given}), context, pause=0.01)

    return open


@pytest.fixture
def connected(opened: Opened) -> Connected:
    """`async with connected(groups="all") as (channel, link)`: with these settings."""

    @asynccontextmanager
    async def run(link: RecordingLink | None = None, **settings: object) -> AsyncGenerator[tuple[SlackChannel, RecordingLink]]:
        channel = opened(**settings)
        try:
            async with running(channel, link) as heard:
                yield channel, heard
        finally:
            await channel.close()

    return run
