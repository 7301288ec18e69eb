"""The answers of the two endpoints, as bytes."""

import base64
import struct
from collections.abc import Sequence
from typing import Literal

import orjson

from assistant.api.chat.completions import DONE, error_event, usage
from assistant.contracts.errors import NanobotError
from assistant.contracts.messages import AssistantMessage
from assistant.contracts.models import Embeddings
from assistant.contracts.turns import TurnFinished


def text_completion(finished: TurnFinished, *, created: int, model: str) -> bytes:
    head = _head(finished.turn_id, created, model)
    choices = [_choice(index, answer.text, answer) for index, answer in enumerate(finished.answers)]
    return orjson.dumps({**head, "choices": choices, "usage": usage(finished.usage)})


class TextChunks:
    """The events of a stream. Fulfils `stream.Spoken`."""

    def __init__(self, turn_id: str, *, created: int, model: str, with_usage: bool) -> None:
        self._head = _head(turn_id, created, model)
        self._with_usage = with_usage

    def begin(self) -> bytes:
        return b""

    def text(self, text: str, index: int = 0) -> bytes:
        return self._event([_choice(index, text, None)])

    def end(self, finished: TurnFinished) -> bytes:
        ends = [self._event([_choice(index, "", answer)]) for index, answer in enumerate(finished.answers)]
        last = [_data({**self._head, "choices": [], "usage": usage(finished.usage)})] if self._with_usage else []
        return b"".join([*ends, *last, DONE])

    def failure(self, error: NanobotError) -> bytes:
        return error_event(error)

    def _event(self, choices: list[dict[str, object]]) -> bytes:
        return _data({**self._head, "choices": choices, **({"usage": None} if self._with_usage else {})})


def embedding_list(made: Embeddings, *, model: str, encoding: Literal["float", "base64"]) -> bytes:
    """Vector by vector: for a thread, which then lets others work in between."""
    data = b",".join([_embedding(index, vector, encoding) for index, vector in enumerate(made.vectors)])
    counted = {"prompt_tokens": made.prompt_tokens, "total_tokens": made.prompt_tokens}
    return b'{"object":"list","data":[%b],"model":%b,"usage":%b}' % (data, orjson.dumps(model), orjson.dumps(counted))


def _embedding(index: int, vector: Sequence[float], encoding: Literal["float", "base64"]) -> bytes:
    value = list(vector) if encoding == "float" else base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode("ascii")
    return orjson.dumps({"object": "embedding", "index": index, "embedding": value})


def _head(turn_id: str, created: int, model: str) -> dict[str, object]:
    return {"id": "cmpl-" + turn_id.removeprefix("turn_"), "object": "text_completion", "created": created, "model": model}


def _choice(index: int, text: str, ended: AssistantMessage | None) -> dict[str, object]:
    return {"index": index, "text": text, "logprobs": None, "finish_reason": ended.finish_reason if ended else None}


def _data(value: object) -> bytes:
    return b"data: " + orjson.dumps(value) + b"\n\n"
