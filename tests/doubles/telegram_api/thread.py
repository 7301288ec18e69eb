"""The stand-in on an event loop of its own, in a thread: for tests that kill processes, and for benchmarks."""

import asyncio
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from tests.doubles.telegram_api.server import TelegramServer


@contextmanager
def telegram_in_thread(**options: Any) -> Generator[TelegramServer]:
    """`options`: as of TelegramServer. Its calls may be made from the calling thread; it is stopped on the way out."""
    server = TelegramServer(**options)
    started, failed = threading.Event(), list[BaseException]()
    stop = asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    async def serve() -> None:
        loops.append(asyncio.get_running_loop())
        try:
            async with server:
                started.set()
                await stop.wait()
        except OSError as error:  # the port is taken
            failed.append(error)
            started.set()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name="telegram stand-in", daemon=True)
    thread.start()
    started.wait(timeout=60)
    if failed:
        raise failed[0]
    try:
        yield server
    finally:
        loops[0].call_soon_threadsafe(stop.set)
        thread.join(timeout=60)
