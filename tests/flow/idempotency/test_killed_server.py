"""Requests that come again after kill -9, to the real server: what was done is not done again, and what can't be known is said."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest

from tests.doubles.live_server import LiveServer, live_server, offline, with_model
from tests.doubles.model_server import ModelServer
from tests.doubles.telegram_api.server import TelegramServer
from tests.flow.idempotency.conftest import CHAT, replayed
from tests.flow.relay import relaying

SEND = {"messages": [{"role": "user", "content": 'send "Build finished." to telegram 123456789'}]}
HELLO = {"channel": "telegram", "chat_id": "123456789", "text": "Build finished."}
KEY = {"idempotency-key": "build-17"}
Start = Callable[..., LiveServer]


@pytest.fixture
async def start(tmp_path: Path) -> AsyncGenerator[Start]:
    """Starts a server on `tmp_path`."""
    with ExitStack() as stack:

        def starts(**config: object) -> LiveServer:
            return stack.enter_context(live_server(tmp_path / "home", config={**offline(), **config}))

        yield starts
        await asyncio.to_thread(stack.close)


def kill(server: LiveServer) -> None:
    server.process.kill()
    server.process.wait()


async def post(server: LiveServer, path: str, body: dict[str, Any]) -> httpx2.Response:
    async with httpx2.AsyncClient(base_url=server.url, timeout=30) as client:
        return await client.post(path, json=body, headers=KEY)


async def test_what_was_answered_is_answered_again_and_its_message_is_not_sent_again(start: Start) -> None:
    async with TelegramServer() as telegram:
        config = {"channels": {"telegram": {"enabled": True, "token": telegram.token, "apiBase": telegram.url, "owners": ["123456789"]}}}
        server = await asyncio.to_thread(start, **config)
        first = await post(server, CHAT, SEND)
        kill(server)
        second = await post(await asyncio.to_thread(start, **config), CHAT, SEND)
        assert (second.status_code, second.content, replayed(second)) == (200, first.content, True)
        assert len(telegram.ledger) == 1


async def test_a_delivery_under_a_key_is_kept_once_whenever_the_server_dies(start: Start) -> None:
    server = await asyncio.to_thread(start)
    first = await post(server, "/v1/deliveries", HELLO)
    kill(server)
    server = await asyncio.to_thread(start)
    second = await post(server, "/v1/deliveries", HELLO)
    async with httpx2.AsyncClient(base_url=server.url, timeout=30) as client:
        listed = (await client.get("/v1/deliveries")).json()["data"]
    assert (first.status_code, second.status_code, second.json()["id"]) == (202, 202, first.json()["id"])
    assert len(listed) == 1


@pytest.mark.parametrize("by_key", [True, False])
async def test_a_turn_that_was_cut_off_is_not_run_again_unasked(start: Start, by_key: bool) -> None:
    async with ModelServer() as model, openai.AsyncOpenAI(api_key="any", base_url="http://127.0.0.1:1/v1", max_retries=6) as unbound:
        model.configure(latency_ms=600_000)
        server = await asyncio.to_thread(start, **with_model(model.url))
        async with relaying(int(server.url.rpartition(":")[2])) as relay:
            headers = KEY if by_key else {}
            client = unbound.with_options(base_url=relay.url)
            asked = asyncio.create_task(
                client.chat.completions.create(model="fake-model", messages=[{"role": "user", "content": "hi"}], extra_headers=headers)
            )
            await model.until(lambda stats: stats.inflight == 1)
            kill(server)
            model.configure(latency_ms=0)
            relay.port = int((await asyncio.to_thread(start, **with_model(model.url))).url.rpartition(":")[2])
            with pytest.raises(openai.ConflictError) as refused:
                await asked
            assert refused.value.code == "idempotency_interrupted"
            assert model.stats.requests == 1
            again = await client.chat.completions.create(model="fake-model", messages=[{"role": "user", "content": "hi"}])
            assert again.choices[0].message.content
