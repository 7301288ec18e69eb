"""A stand-in on an event loop of its own, in a thread: for tests that kill processes, and for benchmarks."""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from assistant.testing.platform import Seen

S = TypeVar("S", bound=AbstractAsyncContextManager[Any])
T = TypeVar("T")


class InThread(Generic[S]):
    """`server`: the stand-in, which its thread enters and leaves."""

    def __init__(self, server: S) -> None:
        self.server = server
        self._started, self._failed = threading.Event(), list[BaseException]()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name=type(server).__name__, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._started.wait(60):
            raise TimeoutError("the stand-in did not start")
        if self._failed:
            raise self._failed[0]
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(60)

    def do(self, action: Callable[[S], T]) -> T:
        """Do something with it, on its thread, and give back what came of it."""

        async def act(server: S) -> T:
            return action(server)

        return self.run(act)

    def run(self, action: Callable[[S], Coroutine[Any, Any, T]]) -> T:
        """The same with something that waits."""
        return asyncio.run_coroutine_threadsafe(action(self.server), self._loop).result(60)

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        try:
            async with self.server:
                self._started.set()
                await self._stop.wait()
        except Exception as error:  # noqa: BLE001 - raised where it is entered
            self._failed.append(error)
            self._started.set()


class Arrivals(dict[str, Seen]):
    """What a stand-in has accepted, with the time when each arrived: put it in the place of its `accepted`."""

    def __init__(self) -> None:
        super().__init__()
        self.at: dict[str, float] = {}
        """Seconds since 1970, by id."""

    def __setitem__(self, id: str, seen: Seen) -> None:
        self.at.setdefault(id, time.time())
        super().__setitem__(id, seen)
