"""Things that a channel may do for a turn, and that the turn goes on without when they fail."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

from assistant.contracts.channels import SendFailed
from assistant.contracts.errors import traceback_location
from assistant.contracts.outbox import DeliveryError

log = logging.getLogger(__name__)

T = TypeVar("T")
BUG: Final = "internal_error"
"""The code of a trouble that is a fault of the adapter: trying again would meet it again."""


async def attempt(what: str, doing: Coroutine[Any, Any, T], *, within: float) -> T | DeliveryError:
    """What it gives, or why it gave nothing: it failed, took longer than `within` seconds, or met a bug of its adapter (which is logged).
    Cancelling this cancels it."""
    task = asyncio.create_task(doing, name=what)
    task.add_done_callback(_forget)
    try:
        await asyncio.wait([task], timeout=within)
    finally:
        task.cancel()
    if not task.done() or task.cancelled():
        log.info("inbound.late what=%s within=%.1f", what, within)
        return DeliveryError(code="timeout", words=f"it took longer than {within:g} s")
    error = task.exception()
    if error is None:
        return task.result()
    if isinstance(error, SendFailed):
        log.debug("inbound.not_done what=%s code=%s", what, error.trouble.code)
        return error.trouble
    log.error("inbound.bug what=%s error=%s", what, traceback_location(error))
    return DeliveryError(code=BUG, words="the channel failed by a fault of its own")


def _forget(task: asyncio.Task[Any]) -> None:
    """What it ends with when nobody waits any more is nobody's concern; asking for it keeps the loop from saying that nobody did."""
    if not task.cancelled():
        task.exception()
