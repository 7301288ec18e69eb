"""An answer as it comes: server-sent events, as OpenAI sends them."""

import asyncio
from typing import Protocol

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from assistant.api.chat.completions import COMMENT
from assistant.api.chat.disconnects import cancelled_on_disconnect
from assistant.api.middleware.errors import FailedAfterActing
from assistant.api.middleware.scope import admission, cut_off
from assistant.api.turns import settle
from assistant.contracts.errors import NanobotError, ShuttingDown
from assistant.contracts.turns import TextDelta, TurnEvent, TurnFailed, TurnFinished
from assistant.turns.running import RunningTurn

_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
]


class Spoken(Protocol):
    """The events of a stream, as bytes."""

    def begin(self) -> bytes:
        """What comes before the first word."""
        ...

    def text(self, text: str, index: int = 0) -> bytes: ...

    def end(self, finished: TurnFinished) -> bytes:
        """What follows the last word, [DONE] included."""
        ...

    def failure(self, error: NanobotError) -> bytes:
        """What is said in place of the rest: the stream ends with it."""
        ...


class ChatStream(Response):
    """The events of a turn, each batch of them in one write.

    It begins with the first word, or after `keep_alive` seconds of silence: a turn that fails before is answered with a plain status. One that
    fails later ends the stream with an `error` event and without [DONE]. Whoever does not read holds up neither the turn nor its memory
    beyond its own words; whoever goes away makes the rest go unsent, and the turn runs on unless `cancel_on_disconnect`.
    """

    media_type = "text/event-stream"

    def __init__(self, turn: RunningTurn, chunks: Spoken, *, keep_alive: float, cancel_on_disconnect: bool) -> None:
        super().__init__()
        self.turn = turn
        self.chunks = chunks
        self.keep_alive = keep_alive
        self.cancel_on_disconnect = cancel_on_disconnect

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        wire = _Wire(send, self.chunks, self.keep_alive)
        try:
            async with cancelled_on_disconnect(self.turn, receive, enabled=self.cancel_on_disconnect):
                async for batch in self.turn.events():
                    settle(admission(scope), self.turn, batch[-1])
                    await self._pass_on(batch, wire)
        except asyncio.CancelledError:  # the server ends before the turn does, or the key stopped holding
            admission(scope).broke_off(self.turn.took)
            if not wire.started:
                raise
            await wire.write(self.chunks.failure(cut_off(scope) or ShuttingDown()), last=True)
        finally:
            wire.close()

    async def _pass_on(self, batch: list[TurnEvent], wire: "_Wire") -> None:
        written: list[bytes] = []
        for event in batch:
            match event:
                case TextDelta():
                    written.append(self.chunks.text(event.text, event.index))
                case TurnFinished():
                    await wire.write(b"".join([*written, self.chunks.end(event)]), last=True)
                case TurnFailed() if not wire.started and not written:
                    raise FailedAfterActing(event.error) if event.acted else event.error
                case TurnFailed():
                    await wire.write(b"".join([*written, self.chunks.failure(event.error)]), last=True)
                case _:
                    pass
        if written and not isinstance(batch[-1], TurnFinished | TurnFailed):
            await wire.write(b"".join(written))


class _Wire:
    """The way to the client: begins the stream when there is something to say, and breaks its silences."""

    def __init__(self, send: Send, chunks: Spoken, interval: float) -> None:
        self.started = False
        self._send = send
        self._chunks = chunks
        self._interval = interval
        self._lock = asyncio.Lock()
        self._loop = asyncio.get_running_loop()
        self._spoke = self._loop.time()
        self._comment: asyncio.Task[None] | None = None
        self._timer = self._loop.call_later(interval, self._on_time)

    async def write(self, data: bytes, *, last: bool = False) -> None:
        """Returns when the connection took the data, which a slow reader delays."""
        async with self._lock:
            if not self.started:
                self.started = True
                await self._send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
                data = self._chunks.begin() + data
            await self._send({"type": "http.response.body", "body": data, "more_body": not last})
            self._spoke = self._loop.time()

    def close(self) -> None:
        self._timer.cancel()
        if self._comment is not None:
            self._comment.cancel()

    def _on_time(self) -> None:
        """One timer a stream, not one a write: it looks when the last word was, and waits for the rest of the interval."""
        silent_until = self._spoke + self._interval
        if self._loop.time() < silent_until:
            self._timer = self._loop.call_at(silent_until, self._on_time)
            return
        if not self._lock.locked():  # else a write waits for the reader: there is no silence to break
            self._comment = self._loop.create_task(self.write(COMMENT))
        self._timer = self._loop.call_later(self._interval, self._on_time)
