"""What a server does beside its work: it imports what the first requests need, offers tools as they are now, sweeps, and frees memory."""

import asyncio
import ctypes
import gc
import logging
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Final

from assistant.api.body.spool import sweep_spool
from assistant.api.server.websockets import preload as preload_sockets
from assistant.app.services import Services
from assistant.contracts.errors import NanobotError
from assistant.contracts.turns import MAIN
from assistant.providers.registry import preload as preload_provider
from tools.files.space import sweep as sweep_trash

log = logging.getLogger(__name__)

_SWEEP_SECONDS: Final = 3600
_TRIM_SECONDS: Final = 30
_RENEW_SECONDS: Final = 2
_LONGEST_WINDOW: Final = timedelta(days=32)
"""A month, for which what budgets used is kept."""
_KEEP_ONCE: Final = timedelta(days=1)
"""How long the session of a request that brought its own history is kept."""


async def preload(services: Services) -> None:
    """Import what the first model call and the first WebSocket need before one waits for it, and describe the tools."""
    await asyncio.to_thread(preload_provider, services.choice)
    await services.meter.prices.tariff(services.agents[MAIN], None)
    await asyncio.to_thread(preload_sockets)
    for spec in [spec for agent in services.turns.agents.values() for spec in agent.toolbox.specs]:
        len(spec.parameters)  # makes the schema
        await asyncio.sleep(0)
    await services.skills.folders()  # logs those that were changed


async def renew_tools(services: Services) -> None:
    """Offer tools that change, such as skills that were approved meanwhile, as they are now."""
    while True:
        await asyncio.sleep(_RENEW_SECONDS)
        for agent in services.turns.agents.values():
            agent.toolbox.renew()


async def sweep(services: Services) -> None:
    """Every hour: delete expired rows and files, and settle turns whose end could not be stored or whose process died unnoticed."""
    store, config = services.store, services.loaded.config
    while True:
        now = datetime.now(UTC)
        sent = now - timedelta(days=config.deliver.keep_days)
        try:
            await store.attachments.sweep(now)
            await store.sessions.recover()
            await store.links.settle()
            await store.sessions.purge(now - _KEEP_ONCE)
            await asyncio.to_thread(sweep_spool, services.spool)
            await asyncio.to_thread(sweep_trash, services.loaded.workspace, now)
            await store.idempotency.purge(now)
            await store.responses.recover()
            await store.responses.purge(now - timedelta(days=config.api.responses.keep_days))
            await store.outbox.purge(sent)
            await store.inbox.purge(sent)
            await store.continuations.purge(sent)
            await store.approvals.purge(sent)
            await store.occurrences.purge(sent)
            await store.limits.sweep(now)
            await store.browsers.purge(now)
            await store.ledger.recover()
            await store.ledger.purge(now - timedelta(days=config.usage.keep_days))
            await store.ledger.forget_windows(now - _LONGEST_WINDOW)
            await store.jobs.purge(now - timedelta(days=config.workflows.keep_days))
            await store.tasks.purge(now - timedelta(days=config.tasks.keep_days))
            await store.attachments.carry()
            await store.media.carry()
        except NanobotError as error:
            log.warning("store.not_swept code=%s", error.code)
        except OSError as error:
            log.warning("spool.not_swept errno=%s", error.errno)
        await asyncio.sleep(_SWEEP_SECONDS)


async def trim_memory() -> None:
    """Free young garbage, which waits for 200,000 allocations otherwise (a closed WebSocket is 8 KiB of it), and return freed memory to the
    operating system: glibc keeps the heap of a burst of requests (figures in docs/performance.md)."""
    while True:
        await asyncio.sleep(_TRIM_SECONDS)
        gc.collect(1)
        await asyncio.to_thread(_malloc_trim)


def _malloc_trim() -> None:
    with suppress(AttributeError):  # only glibc has it
        ctypes.CDLL(None).malloc_trim(0)
