"""One server and one Chromium for a module; a visit for a test."""

from collections.abc import AsyncGenerator
from dataclasses import asdict

import pytest
import pytest_asyncio

from tests.doubles.model_faults import Control
from tests.flow.page.rig import PageHouse, Visit, page_house


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[PageHouse]:
    async with page_house(tmp_path_factory.mktemp("page")) as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="module")
async def visit(house: PageHouse) -> AsyncGenerator[Visit]:
    house.model.reset()
    house.model.configure(**asdict(Control()))
    async with house.visit() as opened:
        yield opened
