"""A server with played turns in front of a real store, for requests that come again."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from assistant.api.settings import ApiSettings
from assistant.store.database import StoreSettings
from assistant.store.store import Store, open_store
from tests.flow.api_rig import Play, Running, serving

CHAT = "/v1/chat/completions"


@dataclass(frozen=True, slots=True)
class Rig:
    api: Running
    store: Store

    async def ask(
        self, key: str | None = "k", text: str = "hi", *, headers: dict[str, str] | None = None, **fields: Any
    ) -> httpx2.Response:
        body = {"messages": [{"role": "user", "content": text}], **fields}
        by_key = {} if key is None else {"idempotency-key": key}
        return await self.api.client.post(CHAT, json=body, headers={**by_key, **(headers or {})})

    async def kept(self) -> int:
        """How many first answers the store knows of."""
        return (await self.store.database.read(lambda connection: connection.execute("SELECT count(*) FROM answers")))[0][0]


@asynccontextmanager
async def opened(folder: Path, *, play: Play | None = None, settings: ApiSettings | None = None) -> AsyncGenerator[Rig]:
    """A server of its own on the store in `folder`: two of them are two processes' worth."""
    store = await open_store(StoreSettings(), folder / "state")
    try:
        async with serving(folder, settings, play=play, idempotency=store.idempotency) as api:
            yield Rig(api, store)
    finally:
        await store.close()


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncGenerator[Rig]:
    async with opened(tmp_path) as rig:
        yield rig


def replayed(response: httpx2.Response) -> bool:
    return response.headers.get("idempotency-replayed") == "true"
