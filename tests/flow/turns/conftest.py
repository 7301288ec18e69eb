"""The store that tests of turns share."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from assistant.store.database import AttachmentSettings, StoreSettings
from assistant.store.store import open_store
from tests.flow.turns.house import House


@pytest.fixture
async def house(tmp_path: Path) -> AsyncGenerator[House]:
    store = await open_store(StoreSettings(), tmp_path / "state", AttachmentSettings())
    yield House(store, tmp_path)
    await store.close()
