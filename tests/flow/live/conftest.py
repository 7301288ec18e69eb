"""A served assistant and the model that it asks, both on loopback."""

import json
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from assistant.testing.live_server import LiveServer, live_server, with_model
from assistant.testing.model_server import ModelServer


@dataclass(frozen=True, slots=True)
class Live:
    """The process, its model, and a client of its API."""

    server: LiveServer
    model: ModelServer
    client: httpx2.AsyncClient
    home: Path

    async def ask(self, text: str, session: str = "s", **fields: object) -> httpx2.Response:
        body = {"messages": [{"role": "user", "content": text}], "session_id": session, **fields}
        return await self.client.post("/v1/chat/completions", json=body)

    async def stream(self, text: str, session: str = "s", **fields: object) -> tuple[int, list[str]]:
        """The status, and the lines of the body that are not empty."""
        response = await self.ask(text, session, stream=True, **fields)
        return response.status_code, [line for line in response.text.splitlines() if line]

    async def session(self, session: str = "s") -> list[dict[str, Any]]:
        """The stored messages."""
        return (await self.client.get(f"/v1/sessions/{session}")).json().get("data", [])

    def asked(self) -> dict[str, Any]:
        """What the model was asked last."""
        return json.loads(self.model.bodies[-1])


Start = Callable[..., Any]


@pytest.fixture
async def start(tmp_path: Path) -> AsyncGenerator[Start]:
    """Starts a server on `tmp_path`, with more configuration if need be; again after the one before it has ended."""
    async with AsyncExitStack() as stack:
        model = await stack.enter_async_context(ModelServer())

        async def starts(**config: object) -> Live:
            server = stack.enter_context(live_server(tmp_path / "home", config={**with_model(model.url), **config}))
            client = await stack.enter_async_context(httpx2.AsyncClient(base_url=server.url, timeout=30))
            return Live(server, model, client, tmp_path / "home")

        yield starts


@pytest.fixture
async def live(start: Start) -> Live:
    return await start()
