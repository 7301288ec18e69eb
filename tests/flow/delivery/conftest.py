"""The store that tests of deliveries share."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from assistant.store.database import AttachmentSettings, StoreSettings
from assistant.store.store import open_store
from tests.clocks import ShiftedClock
from tests.doubles.platform import Platform
from tests.flow.delivery.house import House


@pytest.fixture
async def house(tmp_path: Path) -> AsyncGenerator[House]:
    clock = ShiftedClock()
    store = await open_store(StoreSettings(), tmp_path / "state", AttachmentSettings(), clock=clock)
    house = House(store, clock)
    yield house
    await house.close()
    await store.close()


@pytest.fixture
async def telegram() -> Platform:
    return Platform("telegram")
