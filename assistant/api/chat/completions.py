"""An answer on the wire: OpenAI's chat.completion, whole, and chat.completion.chunk, piece by piece. Written as bytes: this is the hot path."""

import orjson

from assistant.contracts.messages import Usage
from assistant.contracts.turns import TurnFinished

DONE = b"data: [DONE]\n\n"
COMMENT = b": keep-alive\n\n"


def completion_id(turn_id: str) -> str:
    """The id of the answer to a turn: the turn's own, so that a log line and an answer can be brought together."""
    return "chatcmpl-" + turn_id.removeprefix("turn_")


def completion(finished: TurnFinished, *, created: int, model: str) -> bytes:
    message = {"role": "assistant", "content": finished.text, "refusal": None}
    return orjson.dumps(
        {
            "id": completion_id(finished.turn_id),
            "object": "chat.completion",
            "created": created,
            "model": model,
            "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": finished.finish_reason}],
            "usage": _usage(finished.usage),
        }
    )


class Chunks:
    """The chunks of one stream: one id, one time, one model; each a whole event."""

    __slots__ = ("_after", "_before", "_head", "_with_usage")

    def __init__(self, turn_id: str, *, created: int, model: str, with_usage: bool) -> None:
        head = {"id": completion_id(turn_id), "object": "chat.completion.chunk", "created": created, "model": model}
        self._head = b"data: " + orjson.dumps(head)[:-1]
        self._before = self._head + b',"choices":[{"index":0,"delta":{"content":'
        self._after = b'},"logprobs":null,"finish_reason":null}]' + (b',"usage":null' if with_usage else b"") + b"}\n\n"
        self._with_usage = with_usage

    def role(self) -> bytes:
        return self._head + b',"choices":[{"index":0,"delta":{"role":"assistant","content":"","refusal":null' + self._after

    def text(self, text: str) -> bytes:
        return self._before + orjson.dumps(text) + self._after

    def end(self, finished: TurnFinished) -> bytes:
        """What follows the last word: the finish reason, the usage if it was asked for, and [DONE]."""
        reason = b',"choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"' + finished.finish_reason.encode() + b'"}]'
        if not self._with_usage:
            return self._head + reason + b"}\n\n" + DONE
        usage = self._head + b',"choices":[],"usage":' + orjson.dumps(_usage(finished.usage)) + b"}\n\n"
        return self._head + reason + b',"usage":null}\n\n' + usage + DONE


def _usage(usage: Usage) -> dict[str, object]:
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
    }
