"""A served assistant whose model does as it is told, and its tasks over the API."""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.doubles.live_server import LiveServer, live_server, with_model
from tests.doubles.model_server import ModelServer

WITHIN = 30
HELPERS = b"You are a helper"
"""What only the requests of helpers hold."""


def calling(tool: str, **arguments: object) -> str:
    """What makes the model call a tool, then answer "done"."""
    return f"CALLTOOL {tool} {json.dumps(arguments)}"


def delegating(task: str, **arguments: object) -> str:
    return calling("delegate", task=task, **arguments)


class HoldingModel(ModelServer):
    """Keeps the requests waiting whose bodies hold all of `holds`."""

    holds: tuple[bytes, ...] = ()
    _newest = b""

    def received(self, head: str, body: bytes, streams: bool) -> None:
        super().received(head, body, streams)
        self._newest = body

    def next_mode(self) -> str:
        return "hang" if self.holds and all(mark in self._newest for mark in self.holds) else super().next_mode()

    async def held(self, count: int = 1) -> None:
        async with asyncio.timeout(WITHIN):
            await self.until(lambda stats: stats.inflight == count)

    def release(self) -> None:
        """Answer from now on: what waits is asked again, as after a lost connection."""
        self.holds = ()
        self.drop_connections()


@dataclass(frozen=True, slots=True)
class Served:
    server: LiveServer
    model: HoldingModel
    client: httpx2.AsyncClient
    home: Path

    async def ask(self, text: str, session: str | None = "s", **fields: object) -> dict[str, Any]:
        body = {"messages": [{"role": "user", "content": text}], **({"session_id": session} if session else {}), **fields}
        response = await self.client.post("/v1/chat/completions", json=body)
        return response.json()

    async def tasks(self) -> list[dict[str, Any]]:
        """The newest first."""
        return (await self.client.get("/v1/tasks")).json()["data"]

    async def act(self, task: str, action: str) -> httpx2.Response:
        return await self.client.post(f"/v1/tasks/{task}/{action}")

    async def until(self, holds: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
        """The tasks, the newest first, once `holds` of them."""
        async with asyncio.timeout(WITHIN):
            while not holds(found := await self.tasks()):  # noqa: ASYNC110 - another process changes them
                await asyncio.sleep(0.02)
        return found

    async def ended(self, count: int = 1) -> list[dict[str, Any]]:
        return await self.until(lambda found: sum(each["ended_at"] is not None for each in found) >= count)

    async def said(self, session: str = "s") -> list[tuple[str, str]]:
        """(role, text) of what is stored in a session."""
        found = (await self.client.get(f"/v1/sessions/{session}")).json().get("data", [])
        return [(each["role"], each["content"]) for each in found]

    async def until_said(self, count: int, session: str = "s") -> list[tuple[str, str]]:
        """As `said`, once there is so much, and no turn runs any more."""
        async with asyncio.timeout(WITHIN):
            while len(found := await self.said(session)) < count:  # noqa: ASYNC110 - likewise
                await asyncio.sleep(0.02)
        return found

    async def settled(self, session: str, *, asked: int) -> list[dict[str, Any]]:
        """The messages of a session once it was asked so often, and the last turn has ended: with an answer, or cut off."""
        async with asyncio.timeout(WITHIN):
            while True:
                found = (await self.client.get(f"/v1/sessions/{session}")).json().get("data", [])
                users = [message["role"] for message in found].count("user")
                if users >= asked and (found[-1]["content"] == "done" or found[-1].get("cut_off")):
                    return found
                await asyncio.sleep(0.02)

    def asking(self, text: str) -> "asyncio.Task[dict[str, Any] | None]":
        """Asks beside the test. None: the server died."""

        async def ask() -> dict[str, Any] | None:
            try:
                return await self.ask(text)
            except httpx2.TransportError:
                return None

        return asyncio.create_task(ask())

    async def progress(self, requests: int) -> None:
        """Until the model was asked so often, or nothing is left to be done."""
        async with asyncio.timeout(WITHIN):
            while self.model.stats.requests < requests and any(task["ended_at"] is None for task in await self.tasks()):  # noqa: ASYNC110
                await asyncio.sleep(0.005)

    async def results(self, session: str = "s") -> list[str]:
        return [text for name, text in await self.said(session) if name == "tool"]

    def asked(self) -> list[dict[str, Any]]:
        """All requests that the model got."""
        return [json.loads(body) for body in self.model.bodies]

    def kill(self) -> None:
        self.server.process.kill()
        self.server.process.wait()


Asks = Callable[..., Awaitable[Served]]


@pytest.fixture
async def start(tmp_path: Path) -> AsyncGenerator[Asks]:
    """Starts a server on `tmp_path`, beside those that run or were killed. `model`: its model's own double."""
    async with AsyncExitStack() as stack:
        model = HoldingModel()
        await stack.enter_async_context(model)
        model.configure(keep=500)

        async def starts(**config: Any) -> Served:
            server = await asyncio.to_thread(
                stack.enter_context, live_server(tmp_path / "home", config={**with_model(model.url), **config})
            )
            client = await stack.enter_async_context(httpx2.AsyncClient(base_url=server.url, timeout=WITHIN))
            return Served(server, model, client, tmp_path / "home")

        yield starts
