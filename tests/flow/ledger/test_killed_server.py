"""A server that is killed has charged every answer that it gave, and keeps counting what it had reserved."""

import asyncio
import json
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import httpx2

from assistant.ledger.meter import TYPICAL_ANSWER
from tests.doubles.live_server import live_server, with_model
from tests.doubles.model_server import ModelServer
from tests.flow.nanobot_process import Nanobot

ASKS: list[dict[str, object]] = [
    {"session_id": "s"},
    {"model": "plain"},
    {"session_id": "s", "stream": True},
    {"model": "plain", "stream": True},
    {"model": "plain", "n": 2},
]


def ask(url: str, fields: dict[str, object]) -> str:
    """The whole answer, to its last byte."""
    body = {"messages": [{"role": "user", "content": "hello"}], **fields}
    response = httpx2.post(f"{url}/v1/chat/completions", json=body, timeout=20)
    assert response.status_code == 200
    return response.text


def usage(folder: Path) -> dict[str, dict[str, int]]:
    done = Nanobot(folder=folder)("usage", "--by", "model", "--json", "--config", str(folder / "home" / "config.json"))
    assert done.returncode == 0, done.stderr
    return {group["name"]: group for group in map(json.loads, done.stdout.splitlines())}


async def test_every_answer_that_was_given_is_in_the_ledger_of_a_killed_server(tmp_path: Path, upstream: ModelServer) -> None:
    config = {**with_model(upstream.url), "models": {"plain": {"provider": "custom", "model": "fake-model"}}}

    def ask_and_kill(fields: dict[str, object]) -> None:
        with live_server(tmp_path / "home", config=config) as server:
            ask(server.url, fields)
            server.process.kill()
            server.process.wait()

    for fields in ASKS:
        await asyncio.to_thread(ask_and_kill, fields)
        group = (await asyncio.to_thread(usage, tmp_path))["custom/fake-model"]
        assert group["prompt_tokens"] == upstream.stats.prompt_tokens, fields
        assert group["completion_tokens"] == upstream.stats.completion_tokens, fields


async def test_what_a_killed_server_had_reserved_counts_as_estimated(tmp_path: Path, upstream: ModelServer) -> None:
    upstream.configure(mode="hang")
    config = {**with_model(upstream.url), "budgets": [{"of": "all", "per": "month", "tokens": 100_000}]}

    def start_and_restart() -> None:
        body = {"model": "custom/fake-model", "messages": [{"role": "user", "content": "hello"}]}
        with live_server(tmp_path / "home", config=config) as server, ThreadPoolExecutor(1) as beside:
            asking = beside.submit(httpx2.post, f"{server.url}/v1/chat/completions", json=body, timeout=20)
            seen.result(20)
            server.process.kill()
            server.process.wait()
            assert isinstance(asking.exception(20), httpx2.TransportError)
        with live_server(tmp_path / "home", config=config):
            pass

    seen: Future[None] = Future()
    running = asyncio.create_task(asyncio.to_thread(start_and_restart))
    async with asyncio.timeout(30):
        await upstream.until(lambda stats: stats.inflight == 1)
    seen.set_result(None)
    await running
    group = (await asyncio.to_thread(usage, tmp_path))["custom/fake-model"]
    assert (group["calls"], group["completion_tokens"]) == (1, TYPICAL_ANSWER)
