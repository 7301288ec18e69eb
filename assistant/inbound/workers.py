"""One worker for each session that has messages waiting."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from assistant.contracts.errors import traceback_location

log = logging.getLogger(__name__)

SessionKey = tuple[str, str]
"""(owner, session)"""


class SessionWorkers:
    """Calls `work` for sessions that have something to do. It knows nothing of what that is; what is to be done is kept in the inbox, so
    whatever is forgotten here is found again."""

    def __init__(self, work: Callable[[SessionKey], Awaitable[None]], *, most: int) -> None:
        """`most`: workers at once. `work` does one piece of work and returns."""
        self._work = work
        self._most = most
        self._line: dict[SessionKey, None] = {}
        self._working: dict[SessionKey, asyncio.Task[None]] = {}
        self._again: set[SessionKey] = set()
        self._closed = False

    def wake(self, key: SessionKey) -> None:
        """There is something to do: now, in its turn, or when the worker that is there has ended."""
        if key in self._working:
            self._again.add(key)
        else:
            self._line[key] = None
            self._fill()

    def __len__(self) -> int:
        return len(self._working) + len(self._line)

    async def close(self, grace: float) -> None:
        """Begin nothing more, stop the workers and wait for them, `grace` seconds at most."""
        self._closed = True
        self._line.clear()
        tasks = list(self._working.values())
        for task in tasks:
            task.cancel()
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=grace)
            if late:
                log.warning("inbound.not_ended workers=%d", len(late))

    def _fill(self) -> None:
        while self._line and len(self._working) < self._most and not self._closed:
            key = next(iter(self._line))
            del self._line[key]
            task = asyncio.ensure_future(self._work(key))
            self._working[key] = task
            task.add_done_callback(lambda done, key=key: self._ended(key, done))

    def _ended(self, key: SessionKey, task: asyncio.Task[None]) -> None:
        del self._working[key]
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("inbound.bug what=%s error=%s", "worker", traceback_location(error))
        if key in self._again:
            self._again.remove(key)
            self._line[key] = None
        self._fill()
