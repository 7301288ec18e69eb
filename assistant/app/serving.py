"""Serving: from the first socket to the orderly end."""

import asyncio
import ctypes
import gc
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Final

from assistant.api.server.bind import bind, check_exposure
from assistant.api.server.serve import serve as serve_api
from assistant.api.settings import ApiSettings
from assistant.app.runtime import FOR_TURNS, Runtime, open_runtime
from assistant.app.server_file import announced
from assistant.app.services import Services
from assistant.config import Loaded

_MMAP_THRESHOLD: Final = -3
_ARENA_MAX: Final = -8
"""As <malloc.h> numbers them."""
_LARGE: Final = 128 * 1024


async def serve(
    loaded: Loaded,
    on_listening: Callable[[Services, int], None],
    *,
    chat_only: bool = False,
    read: Callable[[], Loaded] | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT; then let running turns end within `shutdown.grace`. `on_listening`: called once, with the port.

    `chat_only`: chat completions and models, and no channels: what the assistant sends waits for a server that has them.
    `read`: gives the configuration anew, for SIGHUP and the page; None: there is no reload.
    Raises CannotServe (a port in use, a bind that would expose it), ConfigError, StoreUnavailable.
    """
    settings = loaded.config.api
    check_exposure(settings, loaded.config.auth)
    grace = loaded.config.shutdown.grace
    with _bound(settings) as sockets:
        _raise_file_limit()
        _keep_heap_small()
        async with open_runtime(loaded, chat_only=chat_only, read=read) as (runtime, app):
            await runtime.start()
            _tune_interpreter()
            stop = _stop_signal()
            with _reloading(runtime, stop):
                await serve_api(
                    app,
                    settings,
                    stop=stop,
                    grace=grace,
                    sockets=sockets,
                    on_listening=lambda port: on_listening(runtime.services, port),
                    finish=lambda: runtime.stop(grace * FOR_TURNS),
                )


@contextmanager
def _bound(settings: ApiSettings) -> Generator[Sequence[socket.socket]]:
    """The sockets to listen on, bound before anything else is opened, so that a port in use fails at once."""
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


@contextmanager
def _reloading(runtime: Runtime, stop: asyncio.Event) -> Generator[None]:
    """SIGHUP reloads; where it says that the terminal is gone, it ends the server as it always did."""
    reloader = runtime.reloader
    if reloader is None:
        yield
        return
    loop, on_terminal = asyncio.get_running_loop(), os.isatty(0)
    running: set[asyncio.Task[None]] = set()
    with announced(runtime.services.loaded.home) as reports:

        async def reload() -> None:
            reports.write(await reloader.reload())

        def hung_up() -> None:
            if on_terminal and not os.isatty(0):
                stop.set()
                return
            running.add(task := asyncio.create_task(reload()))
            task.add_done_callback(running.discard)

        loop.add_signal_handler(signal.SIGHUP, hung_up)
        try:
            yield
        finally:
            loop.remove_signal_handler(signal.SIGHUP)
            for task in running:
                task.cancel()


def _tune_interpreter() -> None:
    """Collect garbage less often, and never the objects of the start (they are not looked through before: that took a twentieth of it, and found
    nothing): a thousand turns in flight are many objects and no garbage. A thread that holds the interpreter (the store's, an encoder's) yields to
    the event loop after 1 ms, not 5. Figures in docs/performance.md."""
    gc.freeze()
    gc.set_threshold(200_000, 10, 10)
    sys.setswitchinterval(0.001)


def _keep_heap_small() -> None:
    """Let all threads take memory from one heap, and what is large from none; before they start, as those that have another heap keep it.

    By default glibc gives each thread a heap of its own, in which others do not find what is free: resident memory grows with the threads' peaks.
    (The interpreter's lock leaves them little to wait for at one.) And once a block of some MiB was freed, others of that size lie in the heap,
    among small ones that stay. Figures in docs/reliability.md.
    """
    with suppress(AttributeError):  # only glibc has it
        options = ctypes.CDLL(None).mallopt
        options(_ARENA_MAX, 1)
        options(_MMAP_THRESHOLD, _LARGE)


def _raise_file_limit() -> None:
    """A thousand connections need more descriptors than the usual soft limit gives."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
