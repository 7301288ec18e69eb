"""Serving: from the first socket to the orderly end."""

import asyncio
import gc
import logging
import resource
import signal
import socket
import sys
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Final

from assistant import __version__
from assistant.api.app import create_app
from assistant.api.body.spool import sweep_spool
from assistant.api.deliveries.endpoints import Outgoing
from assistant.api.files.endpoints import Shelf
from assistant.api.listening.exposure import check_exposure
from assistant.api.listening.server import bind
from assistant.api.listening.server import serve as serve_api
from assistant.api.listening.sockets import preload as preload_sockets
from assistant.api.settings import ApiSettings
from assistant.app.assistant import Assistant, open_assistant
from assistant.app.doors import open_doors
from assistant.app.reception import Reception
from assistant.config import Loaded
from assistant.contracts.errors import NanobotError
from assistant.providers.build import preload

log = logging.getLogger(__name__)

SWEEP_SECONDS: Final = 3600
KEEP_ONCE: Final = timedelta(days=1)
"""How long the session of a request that brought its own history is kept."""
_FOR_TURNS: Final = 0.95
"""The share of the grace in which turns and sends end; the rest is for their answers to leave."""


async def serve(loaded: Loaded, on_listening: Callable[[Assistant, int], None]) -> None:
    """Serve until SIGTERM or SIGINT; then let running turns end within `shutdown.grace`. `on_listening`: told once, with the port.

    Raises CannotServe (a port in use, a bind that would expose it), ConfigError, StoreUnavailable.
    """
    settings = loaded.config.api
    check_exposure(settings, loaded.config.auth)
    grace = loaded.config.shutdown.grace
    with _bound(settings) as sockets:
        _raise_file_limit()
        async with open_assistant(loaded, with_channels=True) as assistant, _receiving(assistant) as reception, _chores(assistant):
            app = create_app(
                settings=settings,
                doorkeeper=open_doors(loaded.config, assistant.store),
                turns=assistant.turns,
                sessions=assistant.store.sessions,
                agents={name: model.provider.info for name, model in assistant.models.items()},
                registry=assistant.registry,
                direct=assistant.direct,
                ready=assistant.readiness,
                spool_folder=assistant.spool,
                version=__version__,
                outgoing=Outgoing(
                    deliveries=assistant.deliveries,
                    outbox=assistant.store.outbox,
                    files=assistant.store.media,
                    channels=assistant.directory,
                    expire_after=timedelta(seconds=loaded.config.deliver.expire_after),
                ),
                channels=reception.statuses,
                hooks=reception.hooks,
                repeats=assistant.store.repeats,
                responses=assistant.store.responses,
                shelf=Shelf(files=assistant.store.files, reader=assistant.reader),
                workflows=assistant.workflows,
            )
            await reception.start()
            _tune_interpreter()
            await serve_api(
                app,
                settings,
                stop=_stop_signal(),
                grace=grace,
                sockets=sockets,
                on_listening=lambda port: on_listening(assistant, port),
                finish=lambda: reception.stop(grace * _FOR_TURNS),
            )


@asynccontextmanager
async def _receiving(assistant: Assistant) -> AsyncGenerator[Reception]:
    """What runs beside the API; not started yet."""
    if assistant.outlet is None:
        raise RuntimeError("an assistant is served with its channels opened")
    reception = Reception(assistant, assistant.outlet)
    try:
        yield reception
    finally:
        await reception.close()


@contextmanager
def _bound(settings: ApiSettings) -> Generator[Sequence[socket.socket]]:
    """The sockets to listen on, taken before anything else is opened: a port in use is known at once."""
    with ExitStack() as sockets:
        yield [sockets.enter_context(bound) for bound in bind(settings)]


def _stop_signal() -> asyncio.Event:
    """Set by the first SIGTERM or SIGINT, which ends in order; a second one ends at once."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def end() -> None:
        stop.set()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end)
    return stop


def _tune_interpreter() -> None:
    """What the start leaves behind lives as long as the process: the collector need not look at it again. And a thousand turns in flight are
    no garbage, however many objects they make: it looks for cycles less often. A thread that holds the interpreter (the store's, one that
    encodes a picture) gives it back to the event loop after 1 ms, not 5. Figures in docs/performance.md."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(200_000, 10, 10)
    sys.setswitchinterval(0.001)


def _raise_file_limit() -> None:
    """A thousand connections need more descriptors than the usual soft limit gives."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@asynccontextmanager
async def _chores(assistant: Assistant) -> AsyncGenerator[None]:
    """What is done beside answering: load the provider's client and what sockets need before somebody waits for it, sweep."""
    tasks = [asyncio.create_task(asyncio.to_thread(_preload, assistant)), asyncio.create_task(_sweep(assistant))]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


def _preload(assistant: Assistant) -> None:
    preload(assistant.choice)
    preload_sockets()


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
