"""Clients that go away before their answer."""

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect
from starlette.types import Receive

from assistant.turns.running import RunningTurn

T = TypeVar("T")


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


async def unless_gone(work: Coroutine[Any, Any, T], receive: Receive) -> T:
    """What `work` gives. It is cancelled when the client goes away, which raises ClientDisconnect."""
    doing, gone = asyncio.create_task(work), asyncio.create_task(_gone(receive))
    try:
        await asyncio.wait((doing, gone), return_when=asyncio.FIRST_COMPLETED)
        if not doing.done():
            raise ClientDisconnect
        return doing.result()
    finally:
        for task in (doing, gone):
            task.cancel()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _watch(turn: RunningTurn, receive: Receive) -> None:
    await _gone(receive)
    turn.cancel()
