"""What the stand-in model answers at /completions and /embeddings."""

import json
from typing import Any

from tests.doubles import model_script as script


def answer_texts(path: str, body: bytes) -> bytes:
    """The response to a request at one of the two."""
    return embeddings(body) if path.endswith("/embeddings") else completion(body)


def completion(body: bytes) -> bytes:
    """The response to a request at /completions: the prompt, in capitals, word by word."""
    asked: dict[str, Any] = json.loads(body)
    prompt: str | list[int] = asked["prompt"]
    words = [f"token{number}" for number in prompt] if isinstance(prompt, list) else prompt.upper().split(" ")
    pieces = [word if place == 0 else f" {word}" for place, word in enumerate(words)]
    usage = {"prompt_tokens": len(words), "completion_tokens": len(words), "total_tokens": 2 * len(words)}

    def answer(text: str, reason: str | None) -> dict[str, Any]:
        choice = {
            "index": 0,
            "text": text,
            "logprobs": scores(text) if asked.get("logprobs") is not None else None,
            "finish_reason": reason,
        }
        return {"id": "cmpl-fake", "object": "text_completion", "created": 1_700_000_000, "model": script.MODEL, "choices": [choice]}

    def scores(text: str) -> dict[str, Any]:
        tokens = text.split()
        return {
            "tokens": tokens,
            "token_logprobs": [-0.5] * len(tokens),
            "top_logprobs": None,
            "text_offset": [0] * len(tokens),
        }

    if not asked.get("stream"):
        return _whole({**answer("".join(pieces), "stop"), "usage": usage})
    events: list[dict[str, Any]] = [
        *(answer(piece, None) for piece in pieces),
        answer("", "stop"),
        {**answer("", None), "choices": [], "usage": usage},
    ]
    data = [b"data: " + json.dumps(event).encode() + b"\n\n" for event in events] + [b"data: [DONE]\n\n"]
    return script.SSE_HEAD + b"".join(map(script.chunked, data)) + script.LAST_CHUNK


def embeddings(body: bytes) -> bytes:
    """The response to a request at /embeddings: of each input its length and the dimensions that were asked for, and zeros up to those; the last
    text's first."""
    asked: dict[str, Any] = json.loads(body)
    texts: list[str | list[int]] = asked["input"]
    size: int = asked.get("dimensions", 0)
    vectors = [
        {"object": "embedding", "index": index, "embedding": [float(len(text)), float(size), *[0.0] * (size - 2)][: size or None]}
        for index, text in enumerate(texts)
    ]
    usage = {"prompt_tokens": len(texts), "total_tokens": len(texts)}
    return _whole({"object": "list", "data": vectors[::-1], "model": script.MODEL, "usage": usage})


def _whole(value: dict[str, Any]) -> bytes:
    body = json.dumps(value).encode()
    return script.head("200 OK", len(body)) + body
