"""A part of what is configured, opened by itself: the store, or one channel. For commands and checks."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable
from contextlib import asynccontextmanager
from typing import Final, TypeVar

from assistant import __version__
from assistant.config import Loaded
from assistant.config.extensions import ConfiguredChannels, unknown_channel
from assistant.config.folders import make_home
from assistant.contracts.channels import Channel, ChannelContext, ChannelFailed, opened_channel
from assistant.contracts.errors import InvalidAddress
from assistant.store.store import Store, open_store

T = TypeVar("T")
PATIENCE: Final = 20.0
"""Seconds for a platform, or the model's provider, to answer."""


@asynccontextmanager
async def opened_store(loaded: Loaded) -> AsyncGenerator[Store]:
    """The configured store. Raises ConfigError, StoreUnavailable."""
    make_home(loaded.home)
    directory = ConfiguredChannels(loaded.config.channels.by_name())
    store = await open_store(loaded.config.store, loaded.home, loaded.config.attachments, zone=loaded.config.zone, offers=directory.offers)
    try:
        yield store
    finally:
        await store.close()


@asynccontextmanager
async def opened_by_name(loaded: Loaded, store: Store, name: str) -> AsyncGenerator[Channel]:
    """A channel's adapter, enabled or not. Raises ChannelFailed, and InvalidAddress where there is no such channel."""
    settings = loaded.config.channels.by_name()
    directory = ConfiguredChannels(settings)
    kind = directory.kind(name)
    if kind is None:
        raise InvalidAddress(unknown_channel(name, directory.names))
    notes, folder = store.notes(name), loaded.home / "channels" / name
    channel = opened_channel(kind, settings[name], ChannelContext(files=store.media, version=__version__, notes=notes, folder=folder))
    try:
        yield channel
    finally:
        await channel.close()


async def within(answer: Awaitable[T]) -> T:
    """The platform's answer. Raises ChannelFailed where it takes longer than PATIENCE."""
    try:
        async with asyncio.timeout(PATIENCE):
            return await answer
    except TimeoutError:
        raise ChannelFailed(f"the platform did not answer within {PATIENCE:g} s") from None
