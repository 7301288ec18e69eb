"""Clients that go away before their answer."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from starlette.types import Receive

from assistant.turns.running import RunningTurn


@asynccontextmanager
async def cancelled_on_disconnect(turn: RunningTurn, receive: Receive, *, enabled: bool) -> AsyncGenerator[None]:
    """Within the block, the turn is cancelled when the client goes away. Not `enabled`: it runs to its end whatever the client does."""
    if not enabled:
        yield
        return
    watcher = asyncio.create_task(_watch(turn, receive))
    try:
        yield
    finally:
        watcher.cancel()


async def _watch(turn: RunningTurn, receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    turn.cancel()
