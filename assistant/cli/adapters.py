"""A channel's adapter, opened for one question."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable
from contextlib import asynccontextmanager
from typing import TypeVar

from assistant import __version__
from assistant.cli.display import harmless
from assistant.config import Loaded
from assistant.config.directory import ConfiguredChannels
from assistant.config.folders import make_home
from assistant.contracts.channels import Channel, ChannelContext, ChannelFailed
from assistant.contracts.errors import InvalidAddress
from assistant.store.store import open_store

T = TypeVar("T")

PATIENCE = 20.0
"""Seconds for a platform to answer."""


@asynccontextmanager
async def opened(loaded: Loaded, name: str) -> AsyncGenerator[Channel]:
    """The adapter, whether or not the channel is enabled. Raises ChannelFailed; InvalidAddress where there is no such channel;
    StoreUnavailable."""
    channels = loaded.config.channels.by_name()
    directory = ConfiguredChannels(channels)
    kind = directory.kind(name)
    if kind is None:
        raise InvalidAddress(f'There is no channel "{harmless(name)}". There are: {", ".join(directory.names)}.')
    make_home(loaded.home)
    store = await open_store(loaded.config.store, loaded.home, loaded.config.attachments)
    try:
        channel = kind.open(channels[name], ChannelContext(files=store.media, version=__version__))
        try:
            yield channel
        finally:
            await channel.close()
    finally:
        await store.close()


async def asked_within(answer: Awaitable[T], seconds: float = PATIENCE) -> T:
    """What a platform answers. Raises ChannelFailed where it does not in time."""
    try:
        async with asyncio.timeout(seconds):
            return await answer
    except TimeoutError:
        raise ChannelFailed(f"the platform did not answer within {seconds:g} s") from None
