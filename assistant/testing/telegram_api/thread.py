"""The stand-in on an event loop of its own, in a thread: for tests that kill processes, and for benchmarks."""

import asyncio
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from assistant.testing.telegram_api.server import TelegramServer


@contextmanager
def telegram_in_thread(**options: Any) -> Generator[TelegramServer]:
    """`options`: as of TelegramServer. Its calls may be made from the calling thread; it is stopped on the way out."""
    server = TelegramServer(**options)
    started, failed = threading.Event(), list[BaseException]()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def serve() -> None:
        try:
            async with server:
                started.set()
                await stop.wait()
        except OSError as error:
            failed.append(error)
            started.set()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), name="telegram stand-in", daemon=True)
    thread.start()
    started.wait(timeout=10)
    if failed:
        raise failed[0]
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(timeout=10)
        loop.close()
