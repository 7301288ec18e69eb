"""A store on each database: a SQLite file, and a database of a real PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Protocol

import pytest

from assistant.contracts.addresses import Address
from assistant.store.database import AttachmentSettings, StoreSettings
from assistant.store.reaching import Offers
from assistant.store.store import Store, open_store
from tests.clocks import TurnedClock


class Opener(Protocol):
    async def __call__(self, *, offers: Offers = ...) -> Store: ...


def every(_: Address) -> bool:
    return True


@pytest.fixture
def clock() -> TurnedClock:
    return TurnedClock()


@pytest.fixture
async def open_again(url: str, tmp_path: Path, clock: TurnedClock) -> AsyncIterator[Opener]:
    """Opens the test's store, as another process would; everything opened is closed at the end."""
    opened: list[Store] = []

    async def open_one(*, offers: Offers = every) -> Store:
        store = await open_store(StoreSettings(url=url), tmp_path / "state", AttachmentSettings(keep_days=30), offers=offers, clock=clock)
        opened.append(store)
        return store

    yield open_one
    async with asyncio.timeout(20):
        for store in opened:
            await store.close()


@pytest.fixture
async def store(open_again: Opener) -> Store:
    return await open_again()
