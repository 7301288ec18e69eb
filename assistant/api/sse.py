"""Server-sent events: the one writer of a stream, and what happens when its client disconnects."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final, Self, TypeVar

from starlette.requests import ClientDisconnect
from starlette.types import Receive, Send

from assistant.api.middleware.errors import error_json
from assistant.contracts.errors import NanobotError

DONE: Final = b"data: [DONE]\n\n"
COMMENT: Final = b": keep-alive\n\n"
_HEADERS: Final = ((b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache"), (b"x-accel-buffering", b"no"))

T = TypeVar("T")


def event(data: bytes) -> bytes:
    return b"data: " + data + b"\n\n"


def error_event(error: NanobotError) -> bytes:
    return event(error_json(error))


class EventStream:
    """Writes events to one response. The status and headers go out with the first write, until which an error can still be answered plainly.

    A stream that is silent for `keep_alive` seconds gets a comment, its beginning included.
    """

    def __init__(
        self, send: Send, *, keep_alive: float, begin: Callable[[], bytes] = bytes, headers: Sequence[tuple[bytes, bytes]] = ()
    ) -> None:
        """`begin`: makes what comes before the first event. `headers`: in addition to those of every stream."""
        self.started = False
        self._send = send
        self._begin = begin
        self._headers = [*_HEADERS, *headers]
        self._keep_alive = keep_alive
        self._lock = asyncio.Lock()
        self._loop = asyncio.get_running_loop()
        self._written_at = self._loop.time()
        self._comment: asyncio.Task[None] | None = None
        self._timer = self._loop.call_later(keep_alive, self._on_time)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        if self._comment is not None:
            self._comment.cancel()

    async def write(self, data: bytes, *, last: bool = False) -> None:
        """Returns when the connection has taken the data, which a slow reader delays."""
        async with self._lock:
            if not self.started:
                self.started = True
                await self._send({"type": "http.response.start", "status": 200, "headers": self._headers})
                data = self._begin() + data
            await self._send({"type": "http.response.body", "body": data, "more_body": not last})
            self._written_at = self._loop.time()
            if last:
                self.__exit__()  # a comment that waits for the lock must not follow

    def _on_time(self) -> None:
        """One timer for the stream, not one for each write: it checks the last write and waits for the rest of the interval."""
        silent_until = self._written_at + self._keep_alive
        if self._loop.time() < silent_until:
            self._timer = self._loop.call_at(silent_until, self._on_time)
            return
        if not self._lock.locked():  # else a write waits for the reader
            self._comment = self._loop.create_task(self.write(COMMENT))
        self._timer = self._loop.call_later(self._keep_alive, self._on_time)


async def disconnected(receive: Receive) -> None:
    """Returns when the client disconnects."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def unless_gone(work: Coroutine[Any, Any, T], receive: Receive) -> T:
    """The result of `work`, which is cancelled when the client disconnects; then ClientDisconnect is raised."""
    doing, gone = asyncio.create_task(work), asyncio.create_task(disconnected(receive))
    try:
        await asyncio.wait((doing, gone), return_when=asyncio.FIRST_COMPLETED)
        if not doing.done():
            raise ClientDisconnect
        return doing.result()
    finally:
        for task in (doing, gone):
            task.cancel()
