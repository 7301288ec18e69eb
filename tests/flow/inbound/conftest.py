"""The store that tests of the way in share."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from assistant.store.database import AttachmentSettings, StoreSettings
from assistant.store.store import open_store
from tests.clocks import TurnedClock
from tests.flow.inbound.rig import START, Rig


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncGenerator[Rig]:
    clock = TurnedClock(START)
    store = await open_store(StoreSettings(), tmp_path / "state", AttachmentSettings(), clock=clock)
    yield Rig(store=store, folder=tmp_path, clock=clock)
    await store.close()
