"""A worker a key: the inbox has one a session, the outbox one a lane."""

import asyncio
import logging
from collections.abc import Callable, Collection, Coroutine, Hashable
from typing import Any, Generic, TypeVar

from assistant.contracts.errors import traceback_location

log = logging.getLogger(__name__)

K = TypeVar("K", bound=Hashable)


class KeyedWorkers(Generic[K]):
    """Runs `work(key)` in a task for each key that is woken; never two for one key. Work is not stored here: `close` forgets keys in line."""

    def __init__(
        self,
        name: str,
        work: Callable[[K], Coroutine[Any, Any, None]],
        *,
        most: int | None = None,
        ended: Callable[[K, asyncio.Task[None], bool], bool] | None = None,
    ) -> None:
        """`name`: what a key is, for logs. `most`: workers at once; further keys wait in line. `ended`: called with the key, its task and whether
        the key was woken while the task ran; returns whether to run it again. None: runs it again if it was woken."""
        self._name = name
        self._work = work
        self._most = most
        self._when_ended = ended
        self._line: dict[K, None] = {}
        self._running: dict[K, asyncio.Task[None]] = {}
        self._woken: set[K] = set()
        self._closed = False

    def wake(self, key: K) -> None:
        """Run the key's work: now, when there is room, or again when its worker has ended."""
        if key in self._running:
            self._woken.add(key)
        else:
            self._line[key] = None
            self._fill()

    def __contains__(self, key: K) -> bool:
        """Whether the key has a worker now."""
        return key in self._running

    def __len__(self) -> int:
        return len(self._running) + len(self._line)

    def cancel(self, keys: Collection[K]) -> None:
        """Cancel the workers of these keys."""
        for key in keys:
            self._running[key].cancel()

    async def drain(self, grace: float) -> None:
        """Start nothing more, and wait `grace` seconds for the workers to end."""
        self._closed = True
        self._line.clear()
        if self._running:
            await asyncio.wait(self._running.values(), timeout=grace)

    async def close(self, grace: float) -> None:
        """Start nothing more, cancel the workers and wait `grace` seconds for them."""
        self.cancel(self._running)
        await self.drain(grace)
        if self._running:
            log.warning("worker.not_ended name=%s count=%d", self._name, len(self._running))

    def _fill(self) -> None:
        while self._line and not self._closed and (self._most is None or len(self._running) < self._most):
            key = next(iter(self._line))
            del self._line[key]
            task = self._running[key] = asyncio.create_task(self._work(key), name=f"{self._name}-{key}")
            task.add_done_callback(lambda task, key=key: self._ended(key, task))

    def _ended(self, key: K, task: asyncio.Task[None]) -> None:
        del self._running[key]
        woken = key in self._woken
        self._woken.discard(key)
        if not task.cancelled() and (bug := task.exception()) is not None:
            log.error("worker.bug name=%s error=%s", task.get_name(), traceback_location(bug))
        if self._when_ended(key, task, woken) if self._when_ended else woken:
            self._line[key] = None
        self._fill()
