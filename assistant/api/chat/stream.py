"""Chat completions as JSON, whole and in chunks, and the stream of server-sent events."""

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Protocol, TypeVar

import orjson
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from assistant.api.middleware.errors import FailedAfterActing, error_json
from assistant.api.middleware.request import admission, cut_off
from assistant.contracts.errors import NanobotError, ShuttingDown
from assistant.contracts.messages import AssistantMessage, ToolCall, Usage
from assistant.contracts.models import Scored
from assistant.contracts.turns import TextDelta, TurnEvent, TurnFailed, TurnFinished
from assistant.turns.handle import RunningTurn

DONE = b"data: [DONE]\n\n"
COMMENT = b": keep-alive\n\n"


def completion_id(turn_id: str) -> str:
    """The id of the answer to a turn: the turn's own, so that a log line and an answer can be brought together."""
    return "chatcmpl-" + turn_id.removeprefix("turn_")


def completion(finished: TurnFinished, *, created: int, model: str) -> bytes:
    return orjson.dumps(
        {
            "id": completion_id(finished.turn_id),
            "object": "chat.completion",
            "created": created,
            "model": model,
            "choices": [_choice(index, answer) for index, answer in enumerate(finished.answers)] if finished.answers else [_only(finished)],
            "usage": usage(finished.usage),
        }
    )


class Chunks:
    """The chunks of one stream: one id, one time, one model; each a whole event."""

    __slots__ = ("_after", "_answers", "_before", "_head", "_with_usage")

    def __init__(self, turn_id: str, *, created: int, model: str, with_usage: bool, answers: int = 1) -> None:
        """`answers`: how many there will be, each with an index of its own."""
        head = {"id": completion_id(turn_id), "object": "chat.completion.chunk", "created": created, "model": model}
        self._head = b"data: " + orjson.dumps(head)[:-1]
        self._before = [self._head + b',"choices":[{"index":%d,"delta":{"content":' % index for index in range(answers)]
        self._after = b'},"logprobs":null,"finish_reason":null}]' + (b',"usage":null' if with_usage else b"") + b"}\n\n"
        self._with_usage = with_usage
        self._answers = answers

    def begin(self) -> bytes:
        """What comes before the first word: whose words they are."""
        role = b'"delta":{"role":"assistant","content":"","refusal":null' + self._after
        return b"".join([self._head + b',"choices":[{"index":%d,' % index + role for index in range(self._answers)])

    def text(self, text: str, index: int = 0) -> bytes:
        return self._before[index] + orjson.dumps(text) + self._after

    def end(self, finished: TurnFinished) -> bytes:
        """What follows the last word: calls of the client's tools, likelihoods, the finish reason, the usage if it was asked for, and [DONE]."""
        rest = [self._rest(index, answer) for index, answer in enumerate(finished.answers)]
        reasons = rest or [self._choice(0, b"{}", b"null", finished.finish_reason)]
        if self._with_usage:
            reasons.append(self._head + b',"choices":[],"usage":' + orjson.dumps(usage(finished.usage)) + b"}\n\n")
        return b"".join([*reasons, DONE])

    def failure(self, error: NanobotError) -> bytes:
        """An `error` event, and no [DONE]."""
        return error_event(error)

    def _rest(self, index: int, answer: AssistantMessage) -> bytes:
        """Calls come whole, one delta for all of them."""
        scores = answer.logprobs if isinstance(answer, Scored) else None
        calls = [{"index": place, **_call(call)} for place, call in enumerate(answer.tool_calls)]
        said = b""
        if calls or scores:
            delta = orjson.dumps({"tool_calls": calls}) if calls else b"{}"
            said = self._choice(index, delta, orjson.dumps(scores), None)
        return said + self._choice(index, b"{}", b"null", answer.finish_reason)

    def _choice(self, index: int, delta: bytes, scores: bytes, reason: str | None) -> bytes:
        choice = b',"choices":[{"index":%d,"delta":%b,"logprobs":%b,"finish_reason":%b}]' % (index, delta, scores, orjson.dumps(reason))
        return self._head + choice + (b',"usage":null}\n\n' if self._with_usage else b"}\n\n")


def error_event(error: NanobotError) -> bytes:
    return b"data: " + error_json(error) + b"\n\n"


def _only(finished: TurnFinished) -> dict[str, object]:
    message = {"role": "assistant", "content": finished.text, "refusal": None}
    return {"index": 0, "message": message, "logprobs": None, "finish_reason": finished.finish_reason}


def _choice(index: int, answer: AssistantMessage) -> dict[str, object]:
    message: dict[str, object] = {"role": "assistant", "content": answer.text or (None if answer.tool_calls else ""), "refusal": None}
    if answer.tool_calls:
        message["tool_calls"] = [_call(call) for call in answer.tool_calls]
    scores = answer.logprobs if isinstance(answer, Scored) else None
    return {"index": index, "message": message, "logprobs": scores, "finish_reason": answer.finish_reason}


def _call(call: ToolCall) -> dict[str, object]:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def usage(counted: Usage) -> dict[str, object]:
    return {
        "prompt_tokens": counted.prompt_tokens,
        "completion_tokens": counted.completion_tokens,
        "total_tokens": counted.prompt_tokens + counted.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": counted.cached_tokens},
    }


T = TypeVar("T")


@asynccontextmanager
async def cancelled_on_disconnect(turn: RunningTurn, receive: Receive, *, enabled: bool) -> AsyncGenerator[None]:
    """Within the block, the turn is cancelled when the client goes away. Not `enabled`: it runs to its end whatever the client does."""
    if not enabled:
        yield
        return
    watcher = asyncio.create_task(_watch(turn, receive))
    try:
        yield
    finally:
        watcher.cancel()


async def unless_gone(work: Coroutine[Any, Any, T], receive: Receive) -> T:
    """What `work` gives. It is cancelled when the client goes away, which raises ClientDisconnect."""
    doing, gone = asyncio.create_task(work), asyncio.create_task(_gone(receive))
    try:
        await asyncio.wait((doing, gone), return_when=asyncio.FIRST_COMPLETED)
        if not doing.done():
            raise ClientDisconnect
        return doing.result()
    finally:
        for task in (doing, gone):
            task.cancel()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _watch(turn: RunningTurn, receive: Receive) -> None:
    await _gone(receive)
    turn.cancel()


_STREAM_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
]


class EventEncoder(Protocol):
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

    def __init__(self, turn: RunningTurn, chunks: EventEncoder, *, keep_alive: float, cancel_on_disconnect: bool) -> None:
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

    def __init__(self, send: Send, chunks: EventEncoder, interval: float) -> None:
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
                await self._send({"type": "http.response.start", "status": 200, "headers": _STREAM_HEADERS})
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
