"""The whole server in this process, behind a real socket, in front of a model that counts what it bills."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import orjson

from assistant.api.server.serve import serve
from assistant.app.runtime import Runtime, open_runtime
from assistant.config import load_config
from assistant.contracts.ledger import GroupBy, UsageGroup
from tests.doubles.live_server import with_model
from tests.doubles.model_server import ModelServer


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerHouse:
    runtime: Runtime
    client: httpx2.AsyncClient
    model: ModelServer

    async def chat(self, words: str = "hello", **fields: Any) -> httpx2.Response:
        body = {"messages": [{"role": "user", "content": words}], **fields}
        return await self.client.post("/v1/chat/completions", json=body)

    async def usage(self, by: GroupBy = "person") -> Sequence[UsageGroup]:
        now = datetime.now(UTC)
        ledger = self.runtime.services.store.ledger
        return await ledger.usage(by, owner=None, since=now - timedelta(days=1), until=now + timedelta(days=1), zone=UTC)

    async def total(self) -> int:
        return sum(group.tokens for group in await self.usage())

    @property
    def billed(self) -> int:
        return self.model.stats.prompt_tokens + self.model.stats.completion_tokens


@asynccontextmanager
async def ledger_house(folder: Path, model: ModelServer, url: str, **more: object) -> AsyncGenerator[LedgerHouse]:
    """`more`: further sections of the configuration."""
    config: Mapping[str, object] = {
        **with_model(model.url),
        "models": {
            "plain": {"provider": "custom", "model": "fake-model", "price": {"prompt": 2, "completion": 10}},
            "texts": {"provider": "custom", "type": "completion"},
            "vectors": {"provider": "custom", "type": "embedding"},
        },
        "store": {"url": url},
        **more,
    }
    file = folder / "config.json"
    file.write_bytes(orjson.dumps(config))
    loaded = load_config(file, {"NANOBOT_HOME": str(folder), "HOME": str(folder)}, {"api.port": 0})
    listening: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    stop = asyncio.Event()
    async with open_runtime(loaded, chat_only=False) as (runtime, app):
        await runtime.start()
        serving = asyncio.create_task(
            serve(app, loaded.config.api, stop=stop, grace=2, on_listening=listening.set_result, finish=lambda: runtime.stop(1))
        )
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{await listening}", timeout=60) as client:
            yield LedgerHouse(runtime=runtime, client=client, model=model)
        stop.set()
        await serving
