"""The store that tests of schedules share, on either database."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from assistant.store.database import AttachmentSettings, StoreSettings
from assistant.store.store import open_store
from tests.clocks import TurnedClock
from tests.flow.schedules.rig import START, Rig


@pytest.fixture
async def rig(url: str, tmp_path: Path) -> AsyncGenerator[Rig]:
    clock = TurnedClock(START)
    store = await open_store(StoreSettings(url=url), tmp_path / "state", AttachmentSettings(), clock=clock)
    yield Rig(store=store, folder=tmp_path, clock=clock)
    await store.close()
