"""A server whose keys and limits are in a real store, on SQLite and PostgreSQL."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest
from pydantic import SecretStr

from assistant.access.authenticator import Authenticator, FailedAttempts, KeyWatch
from assistant.access.browsers import BrowserAccess
from assistant.access.principals import auth_mode, build_access, digest_of, new_secret, prefix_of, shared_secrets
from assistant.access.settings import AuthSettings
from assistant.api.people import Household
from assistant.api.settings import ApiSettings
from assistant.config.extensions import ChannelsSettings, ConfiguredChannels
from assistant.contracts.access import ApiKey, Limits, Scope
from assistant.store.database import StoreSettings
from assistant.store.store import Store, open_store
from tests.flow.api_rig import Play, PlayedTurns, Running, serving

SHARED = "the-shared-key"
ALL: tuple[Scope, ...] = ("chat", "models", "sessions", "deliveries", "files", "workflows")


class TurnedSeconds:
    """A clock that stands until the test turns it."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@dataclass(frozen=True, slots=True, kw_only=True)
class Keyed:
    """The server, its store, and keys for it."""

    api: Running
    store: Store
    seconds: TurnedSeconds

    async def key(
        self,
        *scopes: Scope,
        name: str = "test",
        models: tuple[str, ...] | None = None,
        requests: int | None = None,
        tokens: int | None = None,
        parallel: int | None = None,
        expires: timedelta | None = None,
    ) -> tuple[str, dict[str, str]]:
        """A new key's id, and the header that shows it. Without scopes: all but admin."""
        secret, now = new_secret(), datetime.now(UTC)
        key = ApiKey(
            id=f"k{secret[4:10]}",
            name=name,
            prefix=prefix_of(secret),
            scopes=frozenset(scopes or ALL),
            models=models,
            limits=Limits.of(requests_per_minute=requests, tokens_per_minute=tokens, parallel=parallel),
            created=now,
            expires=now + expires if expires else None,
        )
        await self.store.keys.add(key, digest_of(secret.encode()))
        return key.id, bearer(secret)

    async def chat(self, headers: dict[str, str], **fields: object) -> httpx2.Response:
        body = {"messages": [{"role": "user", "content": "hi"}], **fields}
        return await self.api.client.post("/v1/chat/completions", json=body, headers=headers)


def bearer(secret: str) -> dict[str, str]:
    return {"authorization": f"Bearer {secret}"}


async def begun(turns: PlayedTurns, many: int) -> None:
    """Wait until so many turns were begun."""
    for _ in range(500):
        if len(turns.requests) >= many:
            return
        await asyncio.sleep(0.01)
    pytest.fail("the turns were not begun")


Opener = Callable[..., AbstractAsyncContextManager[Keyed]]


@pytest.fixture
def opened(tmp_path: Path, url: str) -> Opener:
    """Opens a server on the test's store, as another process would."""

    @asynccontextmanager
    async def open_one(
        settings: ApiSettings | None = None,
        auth: AuthSettings | None = None,
        *,
        play: Play | None = None,
        wall: Callable[[], float] = time.time,
    ) -> AsyncGenerator[Keyed]:
        settings = settings or ApiSettings(api_key=SecretStr(SHARED))
        store, seconds = await open_store(StoreSettings(url=url), tmp_path / "state"), TurnedSeconds()
        limits = settings.limits
        authenticator = Authenticator(
            access=build_access(auth or AuthSettings(), settings.api_key, store.keys),
            attempts=FailedAttempts(seconds),
            limiter=store.limits,
            defaults=Limits.of(requests_per_minute=limits.requests_per_minute, tokens_per_minute=limits.tokens_per_minute),
            keys=KeyWatch(store.keys, store.browsers),
            browsers=BrowserAccess(
                store.browsers,
                shared_secrets(auth or AuthSettings(), settings.api_key, auth_mode(auth or AuthSettings(), settings.api_key)),
            ),
            clock=wall,
        )
        household = Household(people=store.people, links=store.links, channels=ConfiguredChannels(ChannelsSettings().by_name()))
        try:
            async with serving(tmp_path, settings, play=play, authenticator=authenticator, household=household) as api:
                yield Keyed(api=api, store=store, seconds=seconds)
        finally:
            await store.close()

    return open_one


@pytest.fixture
async def keyed(opened: Opener) -> AsyncGenerator[Keyed]:
    async with opened() as server:
        yield server
