"""What is done beside requests: sweeping expired rows and files, loading libraries early."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Final

from assistant.api.body.spool import sweep_spool
from assistant.api.server.websockets import preload as preload_sockets
from assistant.app.services import Assistant
from assistant.contracts.errors import NanobotError
from assistant.providers.registry import preload

log = logging.getLogger(__name__)

SWEEP_SECONDS: Final = 3600
TRIM_SECONDS: Final = 30
KEEP_ONCE: Final = timedelta(days=1)
"""How long the session of a request that brought its own history is kept."""


@asynccontextmanager
async def chores(assistant: Assistant) -> AsyncGenerator[None]:
    """Load the provider's client and what WebSockets need before a request waits for them; sweep; return unused memory."""
    work = (asyncio.to_thread(_preload, assistant), _sweep(assistant), _trim())
    tasks = [asyncio.create_task(each) for each in work]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


def _preload(assistant: Assistant) -> None:
    preload(assistant.choice)
    preload_sockets()


async def _trim() -> None:
    """Return freed memory to the operating system: glibc keeps the heap of a burst of requests (figures in docs/performance.md)."""
    while True:
        await asyncio.sleep(TRIM_SECONDS)
        await asyncio.to_thread(_malloc_trim)


def _malloc_trim() -> None:
    import ctypes  # noqa: PLC0415 - the start need not wait for it

    with suppress(AttributeError):  # only glibc has it
        ctypes.CDLL(None).malloc_trim(0)


async def _sweep(assistant: Assistant) -> None:
    """Every hour: remove attachments, spooled files, deliveries, messages taken in, jobs and first answers that are due, and settle turns
    whose end could not be stored or whose process died unnoticed."""
    store, keep = assistant.store, timedelta(days=assistant.loaded.config.deliver.keep_days)
    while True:
        try:
            files, turns = await store.attachments.sweep(datetime.now(UTC)), await store.sessions.recover()
            await store.sessions.purge(datetime.now(UTC) - KEEP_ONCE)
            spooled = await asyncio.to_thread(sweep_spool, assistant.spool)
            await store.repeats.purge(datetime.now(UTC))
            await store.responses.recover()
            await store.responses.purge(datetime.now(UTC) - timedelta(days=assistant.loaded.config.api.responses.keep_days))
            sent, answered = await store.outbox.purge(datetime.now(UTC) - keep), await store.inbox.purge(datetime.now(UTC) - keep)
            await store.limits.sweep(datetime.now(UTC))
            jobs = await store.jobs.purge(datetime.now(UTC) - timedelta(days=assistant.loaded.config.workflows.keep_days))
            log.debug("store.swept files=%d spooled=%d turns=%d sent=%d answered=%d jobs=%d", files, spooled, turns, sent, answered, jobs)
        except NanobotError as error:
            log.warning("store.not_swept code=%s", error.code)
        except OSError as error:
            log.warning("spool.not_swept errno=%s", error.errno)
        await asyncio.sleep(SWEEP_SECONDS)
