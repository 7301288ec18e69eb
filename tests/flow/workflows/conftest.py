"""What tests of workflows share."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from tests.flow.outgoing import open_outbox

from .works import Works


@pytest.fixture
async def works(tmp_path: Path) -> AsyncGenerator[Works]:
    async with open_outbox(tmp_path, "telegram") as outbox:
        works = Works(outbox=outbox, folder=tmp_path)
        async with asyncio.timeout(30):
            yield works
            await works.end()
