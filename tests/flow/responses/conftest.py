"""One served assistant for all tests of a module: each uses sessions and responses of its own."""

import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest
import pytest_asyncio

from tests.doubles.live_server import live_server, with_model
from tests.doubles.model_server import ModelServer

MODELS = {
    "tuned": {"provider": "custom", "model": "tuned-upstream", "defaultTemperature": 0.25},
    "vectors": {"type": "embedding", "provider": "custom"},
}


@dataclass(frozen=True, slots=True)
class Served:
    model: ModelServer
    sdk: openai.AsyncOpenAI
    http: httpx2.AsyncClient

    def asked(self) -> dict[str, Any]:
        """What the model was asked last."""
        return json.loads(self.model.bodies[-1])

    def told(self) -> list[tuple[str, Any]]:
        """The conversation in it, without instructions."""
        return [(message["role"], message.get("content")) for message in self.asked()["messages"] if message["role"] != "system"]

    async def send(self, **body: object) -> httpx2.Response:
        return await self.http.post("/v1/responses", json=body)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Served]:
    home: Path = tmp_path_factory.mktemp("home")
    async with ModelServer() as model:
        with live_server(home, config={**with_model(model.url), "models": MODELS, "api": {"limits": {"files": 4}}}) as server:
            async with (
                httpx2.AsyncClient(base_url=server.url, timeout=30) as http,
                openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="dummy", max_retries=0) as sdk,
            ):
                yield Served(model, sdk, http)


@pytest.fixture(autouse=True)
def plain(request: pytest.FixtureRequest) -> None:
    """The model says what it is told to say, whatever the test before wanted of it."""
    if "served" in request.fixturenames:
        model: ModelServer = request.getfixturevalue("served").model
        model.go_on()
        model.configure(mode="ok", latency_ms=0)
