"""Two servers on one store: what one of them runs is followed and stopped at the other, and a repeat at the other gets the same answer."""

import asyncio
import json
import signal
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import pytest
import pytest_asyncio

from tests.doubles.live_server import LiveServer, live_server, with_model
from tests.doubles.model_faults import Control
from tests.doubles.model_server import ModelServer
from tests.postgres import passing_database

pytestmark = pytest.mark.asyncio(loop_scope="module")

WITHIN = 30


@dataclass(frozen=True, slots=True)
class Pair:
    """Two servers. Tests have sessions of their own."""

    model: ModelServer
    config: dict[str, object]
    runner: LiveServer
    one: httpx2.AsyncClient
    """Of the runner."""
    two: httpx2.AsyncClient


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["sqlite", "postgresql"])
async def servers(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Pair]:
    folder = tmp_path_factory.mktemp("two")
    async with AsyncExitStack() as stack:
        url = f"sqlite:///{folder / 'nanobot.db'}"
        if request.param == "postgresql":
            url = stack.enter_context(passing_database(request.getfixturevalue("postgres_server")))
        model = await stack.enter_async_context(ModelServer())
        config: dict[str, object] = {**with_model(model.url), "store": {"url": url}}
        one, two = [stack.enter_context(live_server(folder / name, config=config)) for name in ("one", "two")]
        clients = [await stack.enter_async_context(httpx2.AsyncClient(base_url=each.url, timeout=WITHIN)) for each in (one, two)]
        yield Pair(model, config, one, *clients)


@pytest.fixture
def pair(servers: Pair) -> Pair:
    servers.model.reset()
    servers.model.configure(**asdict(Control()))
    return servers


@pytest.fixture
def session() -> str:
    return uuid4().hex


class Stream:
    """The events of a stream as they come."""

    def __init__(self, response: httpx2.Response) -> None:
        self._lines = response.aiter_lines()
        self.words = ""
        self.end = ""
        """`[DONE]`, or the code of an error."""

    async def until(self, word: str) -> str:
        """The words so far, once these are among them, or the stream has ended."""
        async with asyncio.timeout(WITHIN):
            while word not in self.words and not self.end:
                self._take(await anext(self._lines))
        return self.words

    async def whole(self) -> tuple[str, str]:
        """(the words, how it ended)"""
        await self.until("\0")
        return self.words, self.end

    def _take(self, line: str) -> None:
        data = line.removeprefix("data: ")
        if data == "[DONE]":
            self.end = data
        elif data.startswith("{"):
            event: dict[str, Any] = json.loads(data)
            self.end = event["error"]["code"] if "error" in event else ""
            self.words += "".join(choice["delta"].get("content") or "" for choice in event.get("choices", ()))


def body(session: str) -> dict[str, object]:
    return {"session_id": session, "messages": [{"role": "user", "content": "go on"}], "stream": True}


@asynccontextmanager
async def asked(client: httpx2.AsyncClient, session: str, **headers: str) -> AsyncGenerator[Stream]:
    async with client.stream("POST", "/v1/chat/completions", json=body(session), headers=headers) as response:
        assert response.status_code == 200
        yield Stream(response)


@asynccontextmanager
async def followed(client: httpx2.AsyncClient, session: str) -> AsyncGenerator[Stream]:
    async with client.stream("GET", f"/v1/sessions/{session}/stream") as response:
        assert response.status_code == 200
        yield Stream(response)


async def stop(client: httpx2.AsyncClient, session: str) -> int:
    answer = await client.post(f"/v1/sessions/{session}/stop")
    assert answer.status_code == 200, answer.text
    return answer.json()["stopped"]


async def until_it_runs(client: httpx2.AsyncClient, session: str) -> None:
    async with asyncio.timeout(WITHIN):
        while True:
            answer = await client.get(f"/v1/sessions/{session}")
            if answer.status_code == 200 and answer.json()["running"]:
                return


async def kept(client: httpx2.AsyncClient, session: str) -> list[tuple[str, str | None]]:
    """The stored messages: (words, cut_off)."""
    answer = await client.get(f"/v1/sessions/{session}")
    return [(message["content"], message["cut_off"]) for message in answer.json()["data"]]


async def test_it_is_followed_at_the_other_from_its_first_word_to_its_end(pair: Pair, session: str) -> None:
    pair.model.configure(chunks=150, chunk_delay_ms=5)
    pair.model.hold(after=100)
    async with asked(pair.one, session) as first:
        await first.until("tok20 ")
        async with followed(pair.two, session) as second:
            assert (await second.until("tok20 ")).startswith("tok0 tok1 tok2 ")
            assert not second.end
            pair.model.go_on()
            assert await second.whole() == await first.whole()
            assert second.end == "[DONE]"
    assert (await pair.two.get(f"/v1/sessions/{session}/stream")).status_code == 204
    assert len(pair.model.bodies) == 1


async def test_what_runs_and_what_waits_is_stopped_at_the_other(pair: Pair, session: str) -> None:
    pair.model.configure(chunks=4000, chunk_delay_ms=15)
    async with asked(pair.one, session) as first:
        await first.until("tok5 ")
        waiting = asyncio.create_task(pair.one.post("/v1/chat/completions", json=body(session)))
        async with followed(pair.two, session) as second:
            await second.until("tok9 ")
            stopped = await stop(pair.two, session)
            assert (await second.whole())[1] == "turn_cancelled"
        assert (await first.whole())[1] == "turn_cancelled"
    assert stopped == 2
    assert (await waiting).status_code == 499
    assert await stop(pair.two, session) == 0
    assert [cut_off for words, cut_off in await kept(pair.two, session) if words.startswith("tok0 ")] == ["cancelled"]


async def test_one_that_stands_still_is_not_said_to_have_stopped(pair: Pair, session: str) -> None:
    pair.model.configure(chunks=4000, chunk_delay_ms=15)
    async with asked(pair.one, session) as first, followed(pair.two, session) as second:
        await second.until("tok5 ")
        pair.runner.process.send_signal(signal.SIGSTOP)
        try:
            assert await stop(pair.two, session) == 0
        finally:
            pair.runner.process.send_signal(signal.SIGCONT)
        # What it was told waits for it.
        assert (await first.whole())[1] == "turn_cancelled"
        assert (await second.whole())[1] == "turn_cancelled"


async def test_one_whose_messages_were_taken_back_before_its_end_was_heard_is_over(pair: Pair, session: str) -> None:
    pair.model.configure(chunks=150, chunk_delay_ms=15)
    async with asked(pair.two, session) as first, followed(pair.one, session) as second:
        await second.until("tok5 ")
        pair.runner.process.send_signal(signal.SIGSTOP)
        try:
            assert (await first.whole())[1] == "[DONE]"
            removed = await pair.two.delete(f"/v1/sessions/{session}/messages", params={"from": 1})
            assert removed.json()["deleted"] == 2, removed.text
        finally:
            pair.runner.process.send_signal(signal.SIGCONT)
        assert (await second.whole())[1] == "turn_cancelled"


async def test_one_that_is_killed_in_the_middle_leaves_what_is_stored(pair: Pair, session: str, tmp_path: Path) -> None:
    pair.model.configure(chunks=4000, chunk_delay_ms=15)
    with live_server(tmp_path, config=pair.config) as third:
        async with httpx2.AsyncClient(base_url=third.url, timeout=WITHIN) as client:
            asking = asyncio.create_task(client.post("/v1/chat/completions", json=body(session)))
            await until_it_runs(pair.two, session)
            async with followed(pair.two, session) as second:
                await second.until("tok5 ")
                third.process.kill()
                words, end = await second.whole()
            with pytest.raises(httpx2.HTTPError):
                await asking
    assert words.startswith("tok0 tok1 ")
    assert end == "shutting_down"
    assert await kept(pair.two, session) == [("go on", None), ("", "interrupted")]
    assert (await pair.two.get(f"/v1/sessions/{session}/stream")).status_code == 204


async def test_a_repeat_at_the_other_gets_the_whole_stream(pair: Pair, session: str) -> None:
    pair.model.configure(chunks=60, chunk_delay_ms=15)
    key = {"idempotency-key": session}
    async with asked(pair.one, session, **key) as first:
        await first.until("tok5 ")
        repeated = asyncio.create_task(pair.two.post("/v1/chat/completions", json=body(session), headers=key))
        whole = await first.whole()
    answer = await repeated
    assert answer.headers["idempotency-replayed"] == "true"
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert await Stream(answer).whole() == whole
    assert len(pair.model.bodies) == 1
