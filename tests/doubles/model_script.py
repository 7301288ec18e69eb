"""What the stand-in model says: plain tokens, or what a marker in the last user message asks for; in OpenAI's and Anthropic's words."""

import json
import re
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, Literal

Wire = Literal["openai", "anthropic"]
MODEL = "fake-model"
SSE_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"
_MARKERS = (b"CALLTOOL", b"CALLALL", b"ECHO ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Saying:
    """An answer: pieces of text, or calls of tools (name, arguments)."""

    pieces: tuple[str, ...] = ()
    calls: tuple[tuple[str, Any], ...] = ()
    prompt_tokens: int = 100
    ids: tuple[str, ...] = ()
    """Of the calls."""


def tokens(count: int, text: str = "") -> Saying:
    """`count` pieces: "tok0 tok1 …", or `text` cut into that many."""
    if not text:
        return Saying(pieces=tuple(f"tok{i} " for i in range(count)))
    width = max(1, -(-len(text) // max(1, count)))
    return Saying(pieces=tuple(text[i : i + width] for i in range(0, len(text), width)))


def asked_for(body: bytes, serial: int) -> Saying | None:
    """What a marker in the last user message asks for; None where there is none. `serial` makes the ids of calls unique."""
    if not any(marker in body for marker in _MARKERS):
        return None
    messages = [m for m in json.loads(body).get("messages", []) if m.get("role") != "system"]
    words, results = _last_words(messages)
    if found := re.search(r"CALLTOOLS (\[.*)", words, re.DOTALL):
        calls = json.JSONDecoder().raw_decode(found[1])[0]
        return _call(serial, calls[results : results + 1]) if results < len(calls) else Saying(pieces=("done",))
    if found := re.search(r"CALLALL (\[.*)", words, re.DOTALL):
        return Saying(pieces=("done",)) if results else _call(serial, json.JSONDecoder().raw_decode(found[1])[0])
    if found := re.search(r"CALLTOOL (\S+) (\{(?!\\).*)", words, re.DOTALL):  # not one that is quoted in JSON, as what is learned from is
        return Saying(pieces=("done",)) if results else _call(serial, [[found[1], json.JSONDecoder().raw_decode(found[2])[0]]])
    if echoed := re.findall(r"ECHO ([^\n]+)", words):
        return Saying(pieces=("\n".join(echoed),))
    return None


def _call(serial: int, calls: list[Any]) -> Saying:
    return Saying(calls=tuple((name, args) for name, args in calls), ids=tuple(f"call_{serial}_{i}" for i in range(len(calls))))


def _last_words(messages: list[Any]) -> tuple[str, int]:
    """The text of the last message that a person wrote, and how many tool results came after it."""
    after = list(takewhile(lambda message: not _words(message), reversed(messages)))
    results = sum(_results(message) for message in after)
    rest = messages[: len(messages) - len(after)]
    return (_words(rest[-1]) if rest else ""), results


def _words(message: Any) -> str:
    if message.get("role") != "user":
        return ""
    content = message.get("content") or ""
    return content if isinstance(content, str) else "\n".join(part.get("text", "") for part in content if part.get("type") == "text")


def _results(message: Any) -> int:
    if message.get("role") == "tool":
        return 1
    content: Any = message.get("content")
    return 0 if isinstance(content, str) else sum(part.get("type") == "tool_result" for part in content or ())


def head(status: str, size: int, *, kind: str = "application/json", extra: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {size}\r\n{extra}\r\n".encode()


def chunked(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def whole(saying: Saying, wire: Wire) -> bytes:
    """The whole response in one JSON body."""
    body = json.dumps(_openai_body(saying) if wire == "openai" else _anthropic_body(saying), ensure_ascii=False).encode()
    return head("200 OK", len(body)) + body


def stream(saying: Saying, wire: Wire) -> tuple[bytes, ...]:
    """The response as events, each a chunk of the transfer encoding; `SSE_HEAD` comes before, `LAST_CHUNK` after."""
    events = _openai_events(saying) if wire == "openai" else _anthropic_events(saying)
    return tuple(chunked(event) for event in events)


def _openai_calls(saying: Saying) -> list[dict[str, Any]]:
    return [
        {"index": i, "id": saying.ids[i], "type": "function", "function": {"name": name, "arguments": json.dumps(args, ensure_ascii=False)}}
        for i, (name, args) in enumerate(saying.calls)
    ]


def _openai_usage(saying: Saying) -> dict[str, int]:
    completion = len(saying.pieces) or 20
    return {"prompt_tokens": saying.prompt_tokens, "completion_tokens": completion, "total_tokens": saying.prompt_tokens + completion}


def _openai_body(saying: Saying) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": None if saying.calls else "".join(saying.pieces)}
    if saying.calls:
        message["tool_calls"] = _openai_calls(saying)
    reason = "tool_calls" if saying.calls else "stop"
    return {
        "id": "chatcmpl-fake",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": MODEL,
        "choices": [{"index": 0, "message": message, "finish_reason": reason}],
        "usage": _openai_usage(saying),
    }


def _openai_events(saying: Saying) -> list[bytes]:
    base = {"id": "chatcmpl-fake", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": MODEL}

    def event(delta: dict[str, Any], reason: str | None = None) -> bytes:
        return _data({**base, "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]})

    if saying.calls:
        events = [event({"role": "assistant", "content": None, "tool_calls": _openai_calls(saying)}), event({}, "tool_calls")]
    else:
        events = [event({"role": "assistant", "content": piece} if i == 0 else {"content": piece}) for i, piece in enumerate(saying.pieces)]
        events.append(event({}, "stop"))
    return [*events, _data({**base, "choices": [], "usage": _openai_usage(saying)}), b"data: [DONE]\n\n"]


def _anthropic_body(saying: Saying) -> dict[str, Any]:
    content: list[dict[str, Any]] = [
        {"type": "tool_use", "id": saying.ids[i], "name": name, "input": args} for i, (name, args) in enumerate(saying.calls)
    ]
    return {
        "id": "msg_fake",
        "type": "message",
        "role": "assistant",
        "model": MODEL,
        "content": content or [{"type": "text", "text": "".join(saying.pieces)}],
        "stop_reason": "tool_use" if saying.calls else "end_turn",
        "usage": {"input_tokens": saying.prompt_tokens, "output_tokens": len(saying.pieces) or 20},
    }


def _anthropic_events(saying: Saying) -> list[bytes]:
    body = _anthropic_body(saying)
    started: dict[str, Any] = {**body, "content": [], "stop_reason": None, "usage": {**body["usage"], "output_tokens": 1}}
    events = [_named({"type": "message_start", "message": started})]
    blocks: list[tuple[dict[str, Any], list[dict[str, Any]]]] = [
        ({**block, "input": {}}, [{"type": "input_json_delta", "partial_json": json.dumps(block["input"], ensure_ascii=False)}])
        if block["type"] == "tool_use"
        else ({"type": "text", "text": ""}, [{"type": "text_delta", "text": piece} for piece in saying.pieces])
        for block in body["content"]
    ]
    for index, (block, deltas) in enumerate(blocks):
        events.append(_named({"type": "content_block_start", "index": index, "content_block": block}))
        events += [_named({"type": "content_block_delta", "index": index, "delta": delta}) for delta in deltas]
        events.append(_named({"type": "content_block_stop", "index": index}))
    ended = {
        "type": "message_delta",
        "delta": {"stop_reason": body["stop_reason"]},
        "usage": {"output_tokens": body["usage"]["output_tokens"]},
    }
    return [*events, _named(ended), _named({"type": "message_stop"})]


def _data(value: Any) -> bytes:
    return b"data: " + json.dumps(value, ensure_ascii=False).encode() + b"\n\n"


def _named(value: Any) -> bytes:
    return b"event: " + value["type"].encode() + b"\n" + _data(value)
