"""Chat completions as JSON, whole and in chunks, and the stream of a turn's events."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final, Protocol

import orjson
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from assistant.api.answers import own_answer, step_answer
from assistant.api.middleware.errors import FailedAfterActing
from assistant.api.middleware.request import state_of
from assistant.api.sse import DONE, EventStream, disconnected, error_event
from assistant.contracts.errors import NanobotError, ShuttingDown
from assistant.contracts.messages import AssistantMessage, ToolCall, Usage
from assistant.contracts.models import Scored
from assistant.contracts.turns import ReasoningDelta, TextDelta, ToolFinished, ToolStarted, TurnEvent, TurnFailed, TurnFinished
from assistant.turns.handle import RunningTurn

_ID = "chatcmpl-"
"""Then comes the turn's id, so that an answer can be found in the log."""


def completion(finished: TurnFinished, *, created: int, model: str) -> bytes:
    own = own_answer(finished) if finished.effects or finished.pending else b""
    return orjson.dumps(
        {
            "id": _ID + finished.turn_id.removeprefix("turn_"),
            "object": "chat.completion",
            "created": created,
            "model": model,
            "choices": [_choice(*answer) for answer in enumerate(finished.answers or (finished,))],
            "usage": usage(finished.usage),
            **({"nanobot": orjson.Fragment(own)} if own else {}),
        }
    )


def notice_headers(*notices: str) -> dict[str, str]:
    """What of the request was left out, as a header; none where nothing was."""
    told = " ".join(filter(None, notices))
    return {"x-nanobot-notice": told} if told else {}


class Chunks:
    """The chunks of one stream, each a whole event with the same id, time and model."""

    __slots__ = ("_after", "_answers", "_before", "_head", "_thinks", "_with_usage")

    def __init__(self, turn_id: str, *, created: int, model: str, with_usage: bool, answers: int = 1) -> None:
        """`answers`: how many, each with an index of its own."""
        head = {"id": _ID + turn_id.removeprefix("turn_"), "object": "chat.completion.chunk", "created": created, "model": model}
        self._head = b"data: " + orjson.dumps(head)[:-1]
        self._before = [self._head + b',"choices":[{"index":%d,"delta":{"content":' % index for index in range(answers)]
        self._thinks = [self._head + b',"choices":[{"index":%d,"delta":{"reasoning_content":' % index for index in range(answers)]
        self._after = b'},"logprobs":null,"finish_reason":null}]' + (b',"usage":null' if with_usage else b"") + b"}\n\n"
        self._with_usage = with_usage
        self._answers = answers

    def begin(self) -> bytes:
        """The role, before the first word."""
        role = b'"delta":{"role":"assistant","content":"","refusal":null' + self._after
        return b"".join([self._head + b',"choices":[{"index":%d,' % index + role for index in range(self._answers)])

    def text(self, text: str, index: int = 0) -> bytes:
        return self._before[index] + orjson.dumps(text) + self._after

    def thought(self, text: str, index: int = 0) -> bytes:
        return self._thinks[index] + orjson.dumps(text) + self._after

    def step(self, event: ToolStarted | ToolFinished) -> bytes:
        """A call of a tool that begins or ends, in a chunk without choices."""
        rest = (b',"usage":null' if self._with_usage else b"") + b',"nanobot":' + step_answer(event)
        return self._head + b',"choices":[]' + rest + b"}\n\n"

    def end(self, finished: TurnFinished) -> bytes:
        """Calls of the client's tools, log probabilities, the finish reason, the usage (if requested), and [DONE]. What the turn did is in the last
        chunk before that."""
        rest = [self._rest(index, answer) for index, answer in enumerate(finished.answers)]
        reasons = rest or [self._choice(0, b"{}", b"null", finished.finish_reason)]
        if self._with_usage:
            reasons.append(self._head + b',"choices":[],"usage":' + orjson.dumps(usage(finished.usage)) + b"}\n\n")
        if (finished.effects or finished.pending) and (own := own_answer(finished)):
            reasons[-1] = reasons[-1].removesuffix(b"}\n\n") + b',"nanobot":' + own + b"}\n\n"
        return b"".join([*reasons, DONE])

    def failure(self, error: NanobotError) -> bytes:
        """An `error` event, and no [DONE]."""
        return error_event(error)

    def _rest(self, index: int, answer: AssistantMessage) -> bytes:
        """All calls come whole, in one delta."""
        scores, told = (answer.logprobs, answer.told) if isinstance(answer, Scored) else (None, ())
        calls = [{"index": place, **_call(call)} for place, call in enumerate(answer.tool_calls)]
        more = _further(answer) | ({"tool_calls": calls} if calls else {})
        said = b"".join([self._choice(index, orjson.dumps(each), b"null", None) for each in told])
        said += self._choice(index, orjson.dumps(more), orjson.dumps(scores), None) if more or scores else b""
        return said + self._choice(index, b"{}", b"null", answer.finish_reason)

    def _choice(self, index: int, delta: bytes, scores: bytes, reason: str | None) -> bytes:
        choice = b',"choices":[{"index":%d,"delta":%b,"logprobs":%b,"finish_reason":%b}]' % (index, delta, scores, orjson.dumps(reason))
        return self._head + choice + (b',"usage":null}\n\n' if self._with_usage else b"}\n\n")


def _choice(index: int, answer: AssistantMessage | TurnFinished) -> dict[str, object]:
    message: dict[str, object] = {"role": "assistant", "content": answer.text, "refusal": None}
    if answer.reasoning:
        message["reasoning_content"] = answer.reasoning
    scores = None
    if isinstance(answer, AssistantMessage):
        message |= _further(answer)
        if answer.tool_calls:
            message |= {"content": answer.text or None, "tool_calls": [_call(call) for call in answer.tool_calls]}
    if isinstance(answer, Scored):
        scores = answer.logprobs
        message |= {name: value for each in answer.told for name, value in each.items()}
    return {"index": index, "message": message, "logprobs": scores, "finish_reason": answer.finish_reason}


def _call(call: ToolCall) -> dict[str, object]:
    return {**call.extras, "id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


_WRITTEN: Final = frozenset({"role", "content", "refusal", "tool_calls", "reasoning_content", "reasoning"})


def _further(answer: AssistantMessage) -> dict[str, object]:
    """The provider's further fields of a message, which it wants back with it: `reasoning_details`, `thinking_blocks` …"""
    return {name: value for name, value in answer.extras.items() if name not in _WRITTEN}


def usage(counted: Usage) -> dict[str, object]:
    return {
        "prompt_tokens": counted.prompt_tokens,
        "completion_tokens": counted.completion_tokens,
        "total_tokens": counted.prompt_tokens + counted.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": counted.cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": counted.reasoning_tokens},
    }


async def cancel_on_disconnect(turn: RunningTurn, receive: Receive) -> None:
    """To be run in a task of its own while another waits for the turn."""
    await disconnected(receive)
    turn.cancel()


class EventEncoder(Protocol):
    """The events of a turn's stream, as bytes."""

    def begin(self) -> bytes:
        """What comes before the first word."""
        ...

    def text(self, text: str, index: int = 0) -> bytes: ...

    def thought(self, text: str, index: int = 0) -> bytes:
        """A piece of the model's thoughts; empty where the format has no place for them."""
        ...

    def end(self, finished: TurnFinished) -> bytes:
        """What follows the last word, [DONE] included."""
        ...

    def failure(self, error: NanobotError) -> bytes:
        """The last event of a stream that fails."""
        ...


Step = Callable[[ToolStarted | ToolFinished], bytes]


class ChatStream(Response):
    """The events of a turn, each batch of them in one write.

    It begins with the first word, or after `keep_alive` seconds of silence: a turn that fails before is answered with a plain status. One that
    fails later ends the stream with an `error` event and without [DONE]. A client that reads slowly delays neither the turn nor others; for
    one that disconnects the turn still runs to its end, unless `cancel_on_disconnect`.
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        turn: RunningTurn,
        chunks: EventEncoder,
        *,
        keep_alive: float,
        cancel_on_disconnect: bool,
        headers: Mapping[str, str] | None = None,
        step: Step | None = None,
    ) -> None:
        """`headers`: in addition to those of every stream. `step`: encodes calls of tools; None: they are not told."""
        super().__init__()
        self.step = step
        self.more_headers = [(name.encode("ascii"), value.encode("ascii")) for name, value in (headers or {}).items()]
        self.turn = turn
        self.chunks = chunks
        self.keep_alive = keep_alive
        self.cancel_on_disconnect = cancel_on_disconnect

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        state = state_of(scope)
        watcher = asyncio.create_task(cancel_on_disconnect(self.turn, receive)) if self.cancel_on_disconnect else None
        with EventStream(send, keep_alive=self.keep_alive, begin=self.chunks.begin, headers=self.more_headers) as stream:
            try:
                async for batch in self.turn.events():
                    await write_events(batch, stream, self.chunks, self.step)
            except asyncio.CancelledError:  # on shutdown, or because the key has ended
                state.admission.broke_off(self.turn.took)
                if not stream.started:
                    raise
                await stream.write(self.chunks.failure(state.cut_off or ShuttingDown()), last=True)
            finally:
                if watcher is not None:
                    watcher.cancel()


async def write_events(batch: list[TurnEvent], stream: EventStream, chunks: EventEncoder, step: Step | None) -> None:
    """Write a batch of a turn's events at once. `step`: as of ChatStream. Raises the turn's failure where nothing was written before."""
    written: list[bytes] = []
    for event in batch:
        match event:
            case TextDelta():
                written.append(chunks.text(event.text, event.index))
            case ReasoningDelta():
                written.append(chunks.thought(event.text, event.index))
            case ToolStarted() | ToolFinished() if step is not None:
                written.append(step(event))
            case TurnFinished():
                written.append(chunks.end(event))
            case TurnFailed() if not stream.started and not written:
                raise FailedAfterActing(event.error) if event.acted else event.error
            case TurnFailed():
                written.append(chunks.failure(event.error))
            case _:
                pass
    if any(written):
        await stream.write(b"".join(written), last=isinstance(batch[-1], TurnFinished | TurnFailed))
