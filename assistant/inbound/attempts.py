"""Things that a channel may do for a turn, and that the turn goes on without when they fail."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

from assistant.contracts.channels import SendFailed
from assistant.contracts.errors import place_of
from assistant.contracts.outbox import Trouble

log = logging.getLogger(__name__)

T = TypeVar("T")


async def attempt(what: str, doing: Coroutine[Any, Any, T], *, within: float) -> T | Trouble:
    """What it gives, or why it gave nothing: it failed, took longer than `within` seconds, or met a bug of its adapter (which is logged).
    Cancelling this cancels it."""
    task = asyncio.create_task(doing, name=what)
    try:
        await asyncio.wait([task], timeout=within)
    finally:
        if not task.done():
            task.cancel()
            task.add_done_callback(_forget)
    if not task.done() or task.cancelled():
        log.info("inbound.late what=%s within=%.1f", what, within)
        return Trouble(code="timeout", words=f"it took longer than {within:g} s")
    error = task.exception()
    if error is None:
        return task.result()
    if isinstance(error, SendFailed):
        log.debug("inbound.not_done what=%s code=%s", what, error.trouble.code)
        return error.trouble
    log.error("inbound.bug what=%s error=%s", what, place_of(error))
    return Trouble(code="internal_error", words="the channel failed by a fault of its own")


def _forget(task: asyncio.Task[Any]) -> None:
    """What it ends with after its time is nobody's concern; asking for it keeps the loop from saying that nobody did."""
    if not task.cancelled():
        task.exception()
