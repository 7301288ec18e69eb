"""What the API's tests share."""

from collections.abc import AsyncGenerator

import pytest

from tests.doubles.model_server import ModelServer


@pytest.fixture
async def upstream() -> AsyncGenerator[ModelServer]:
    """The model behind the server: it does as the message tells it."""
    async with ModelServer() as server:
        yield server
