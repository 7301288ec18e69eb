"""GET /v1/changes, on servers that run: what is told, to whom, over processes."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Generator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.doubles.live_server import LiveServer, live_server, offline
from tests.flow.nanobot_process import Nanobot

ALL = ["sessions", "deliveries", "approvals", "tasks", "schedules", "memories", "jobs", "channels", "people", "usage"]


@pytest.fixture
def nanobot(tmp_path: Path, url: str) -> Nanobot:
    return Nanobot(folder=tmp_path, env={"NANOBOT_STORE__URL": url, "NANOBOT_AUTH__MODE": "keys"})


@pytest.fixture
def servers(tmp_path: Path, url: str, nanobot: Nanobot) -> Generator[tuple[LiveServer, LiveServer]]:
    nanobot("keys", "list")  # makes the store, so that the two need not do it at the same time
    config = {**offline(), "store": {"url": url}, "auth": {"mode": "keys"}}
    with live_server(tmp_path / "one", config=config) as one, live_server(tmp_path / "two", config=config) as two:
        yield one, two


def client(server: LiveServer, secret: str) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(base_url=server.url, headers={"authorization": f"Bearer {secret}"}, timeout=30)


class Stream:
    def __init__(self, lines: AsyncIterator[str]) -> None:
        self._lines = lines

    async def next(self) -> dict[str, Any]:
        async with asyncio.timeout(20):
            async for line in self._lines:
                if line.startswith("data: "):
                    return json.loads(line.removeprefix("data: "))
        raise AssertionError("the stream has ended")

    async def until(self, *topics: str) -> dict[str, Any]:
        """The events up to those that told of all these topics, as one."""
        told: dict[str, Any] = {"topics": [], "sessions": []}
        while not set(topics) <= set(told["topics"]):
            event = await self.next()
            told = {"topics": [*told["topics"], *event["topics"]], "sessions": [*told["sessions"], *event.get("sessions", [])]}
        return told


@asynccontextmanager
async def following(asks: httpx2.AsyncClient) -> AsyncGenerator[Stream]:
    async with asks.stream("GET", "/v1/changes") as answer:
        assert answer.status_code == 200, await answer.aread()
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        yield Stream(answer.aiter_lines())


async def say(asks: httpx2.AsyncClient, session: str, text: str = "hi") -> None:
    body = {"messages": [{"role": "user", "content": text}], "session_id": session}
    assert (await asks.post("/v1/chat/completions", json=body)).status_code == 200


async def test_changes_are_told_to_their_person_by_every_process(nanobot: Nanobot, servers: tuple[LiveServer, LiveServer]) -> None:
    mine = nanobot("keys", "create", "Anna", "--scope", "admin").stdout.strip()
    others = nanobot("keys", "create", "Bert", "--scope", "chat,sessions", "--parallel", "1").stdout.strip()
    async with (
        client(servers[0], mine) as here,
        client(servers[1], mine) as there,
        client(servers[1], others) as other,
        following(here) as stream,
        following(other) as unconcerned,
    ):
        assert await stream.next() == {"topics": ALL}
        assert await unconcerned.next() == {"topics": ["sessions", "people"]}
        await say(there, "kitchen")
        told = await stream.until("sessions")
        assert set(told["sessions"]) == {"kitchen"}
        made = await there.post("/v1/memories", json={"text": "I like tea"})
        assert made.status_code == 200, made.text
        await stream.until("memories")
        assert (await there.delete("/v1/sessions/kitchen")).status_code == 200
        assert set((await stream.until("sessions"))["sessions"]) == {"kitchen"}
        await say(other, "bath")
        assert set((await unconcerned.until("sessions"))["sessions"]) == {"bath"}
        created = nanobot("keys", "create", "Cleo")
        assert created.returncode == 0
        await stream.until("people")


async def test_a_person_may_have_sixteen_streams_which_end_with_the_key(nanobot: Nanobot, servers: tuple[LiveServer, LiveServer]) -> None:
    secret = nanobot("keys", "create", "Anna", "--scope", "sessions").stdout.strip()
    async with client(servers[0], secret) as asks:
        opened = [following(asks) for _ in range(16)]
        streams = [await each.__aenter__() for each in opened]
        for stream in streams:
            assert (await stream.next())["topics"] == ["sessions", "people"]
        assert (await asks.get("/v1/changes")).status_code == 429
        await opened[0].__aexit__(None, None, None)
        end, status = time.monotonic() + 30, 429
        while status == 429 and time.monotonic() < end:
            async with asks.stream("GET", "/v1/changes") as answer:
                status = answer.status_code
        assert status == 200
        assert nanobot("keys", "revoke", "Anna").returncode == 0
        for stream in streams[1:]:
            assert "does not hold any more" in (await stream.next())["error"]["message"]
        for each in opened[1:]:
            await each.__aexit__(None, None, None)


async def test_an_open_stream_does_not_keep_the_server_from_stopping(tmp_path: Path) -> None:
    with live_server(tmp_path / "one", config={**offline(), "shutdown": {"grace": 60}}) as server:
        async with httpx2.AsyncClient(base_url=server.url, timeout=30) as asks, following(asks) as stream:
            await stream.next()
            server.process.terminate()
            assert (await stream.next())["error"]["code"] == "shutting_down"
        assert await asyncio.to_thread(server.process.wait, 20) == 0
