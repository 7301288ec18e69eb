"""An answer on the wire: OpenAI's chat.completion, whole, and chat.completion.chunk, piece by piece. Written as bytes: this is the hot path."""

import orjson

from assistant.api.middleware.errors import error_json
from assistant.contracts.errors import NanobotError
from assistant.contracts.messages import AssistantMessage, ToolCall, Usage
from assistant.contracts.models import Scored
from assistant.contracts.turns import TurnFinished

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
