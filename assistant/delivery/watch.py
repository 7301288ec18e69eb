"""Who waits to hear what becomes of an event, in this process."""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager


class Watch:
    """The dispatcher tells it of every event whose state it changed; whoever watches that event is woken."""

    def __init__(self) -> None:
        self._watchers: dict[str, set[asyncio.Event]] = {}

    def changed(self, event_id: str) -> None:
        for watcher in self._watchers.get(event_id, ()):
            watcher.set()

    @contextmanager
    def on(self, event_id: str) -> Generator[asyncio.Event]:
        """Set whenever the event changed, from now to the end of the block."""
        watcher = asyncio.Event()
        watchers = self._watchers.setdefault(event_id, set())
        watchers.add(watcher)
        try:
            yield watcher
        finally:
            watchers.discard(watcher)
            if not watchers:
                self._watchers.pop(event_id, None)
