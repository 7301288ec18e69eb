"""A served assistant and the model that it asks, both on loopback."""

import json
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import pytest
import pytest_asyncio

from tests.doubles.live_server import LiveServer, live_server, with_model
from tests.doubles.model_faults import Control
from tests.doubles.model_server import ModelServer


@dataclass(frozen=True, slots=True)
class Live:
    """The process, its model, and a client of its API."""

    server: LiveServer
    model: ModelServer
    client: httpx2.AsyncClient
    home: Path
    prefix: str = ""
    """What the ids of a test's sessions begin with, where it shares the server with others."""

    async def ask(self, text: str, session: str = "s", **fields: object) -> httpx2.Response:
        body = {"messages": [{"role": "user", "content": text}], "session_id": self.id_of(session), **fields}
        return await self.client.post("/v1/chat/completions", json=body)

    async def stream(self, text: str, session: str = "s", **fields: object) -> tuple[int, list[str]]:
        """The status, and the lines of the body that are not empty."""
        response = await self.ask(text, session, stream=True, **fields)
        return response.status_code, [line for line in response.text.splitlines() if line]

    async def session(self, session: str = "s") -> list[dict[str, Any]]:
        """The stored messages."""
        return (await self.client.get(f"/v1/sessions/{self.id_of(session)}")).json().get("data", [])

    def id_of(self, session: str) -> str:
        return self.prefix + session

    def asked(self) -> dict[str, Any]:
        """What the model was asked last."""
        return json.loads(self.model.bodies[-1])


Start = Callable[..., Any]


@pytest.fixture
async def start(tmp_path: Path) -> AsyncGenerator[Start]:
    """Starts a server on `tmp_path`, with more configuration if need be; again after the one before it has ended, or beside it in another home."""
    async with AsyncExitStack() as stack:
        model = await stack.enter_async_context(ModelServer())

        async def starts(home: str = "home", **config: object) -> Live:
            server = stack.enter_context(live_server(tmp_path / home, config={**with_model(model.url), **config}))
            client = await stack.enter_async_context(httpx2.AsyncClient(base_url=server.url, timeout=30))
            return Live(server, model, client, tmp_path / home)

        yield starts


@pytest.fixture
async def live(start: Start) -> Live:
    return await start()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Live]:
    """One served assistant for a module."""
    home = tmp_path_factory.mktemp("served")
    async with ModelServer() as model:
        with live_server(home, config=with_model(model.url)) as server:
            async with httpx2.AsyncClient(base_url=server.url, timeout=30) as client:
                yield Live(server, model, client, home)


@pytest.fixture
def shared(served: Live) -> Live:
    """The module's assistant for a test that neither stops nor configures it; its model is as new, and the test's sessions are its own.

    For tests that run in the module's loop: `pytest.mark.asyncio(loop_scope="module")`.
    """
    served.model.reset()
    served.model.configure(**asdict(Control()))
    return replace(served, prefix=f"{uuid4().hex}-")
