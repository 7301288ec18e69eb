"""The store, for a command that looks into it or writes to it, whether or not a server runs."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from assistant.config import Loaded
from assistant.config.folders import make_home
from assistant.store.store import Store, open_store

T = TypeVar("T")


def with_store(loaded: Loaded, use: Callable[[Store], Awaitable[T]]) -> T:
    """What `use` makes of it. Raises ConfigError, StoreUnavailable, and what `use` raises."""

    async def run() -> T:
        make_home(loaded.home)
        store = await open_store(loaded.config.store, loaded.home, loaded.config.attachments)
        try:
            return await use(store)
        finally:
            await store.close()

    return asyncio.run(run())
