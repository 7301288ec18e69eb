"""Serving: from the first socket to the orderly end."""

import asyncio
import gc
import resource
import signal
import socket
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager

from assistant.api.server.bind import bind, check_exposure
from assistant.api.server.serve import serve as serve_api
from assistant.api.settings import ApiSettings
from assistant.app.runtime import FOR_TURNS, open_runtime
from assistant.app.services import Services
from assistant.config import Loaded


async def serve(loaded: Loaded, on_listening: Callable[[Services, int], None], *, chat_only: bool = False) -> None:
    """Serve until SIGTERM or SIGINT; then let running turns end within `shutdown.grace`. `on_listening`: called once, with the port.

    `chat_only`: chat completions and models, and no channels: what the assistant sends waits for a server that has them.
    Raises CannotServe (a port in use, a bind that would expose it), ConfigError, StoreUnavailable.
    """
    settings = loaded.config.api
    check_exposure(settings, loaded.config.auth)
    grace = loaded.config.shutdown.grace
    with _bound(settings) as sockets:
        _raise_file_limit()
        async with open_runtime(loaded, chat_only=chat_only) as (runtime, app):
            await runtime.start()
            _tune_interpreter()
            await serve_api(
                app,
                settings,
                stop=_stop_signal(),
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


def _tune_interpreter() -> None:
    """Collect garbage less often, and never the objects of the start (they are not looked through before: that took a twentieth of it, and found
    nothing): a thousand turns in flight are many objects and no garbage. A thread that holds the interpreter (the store's, an encoder's) yields to
    the event loop after 1 ms, not 5. Figures in docs/performance.md."""
    gc.freeze()
    gc.set_threshold(200_000, 10, 10)
    sys.setswitchinterval(0.001)


def _raise_file_limit() -> None:
    """A thousand connections need more descriptors than the usual soft limit gives."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
