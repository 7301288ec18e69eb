"""What looks at the wire for the other tests here: it finds what is not as it is described."""

import json
from typing import Any

import pytest

from assistant.api.answers import ChatCompletionChunk
from assistant.api.openapi import events

from .conversation import exchanges
from .frames import check_frame
from .witness import check_exchange, check_form

ERROR = {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}}
CHUNK = {"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}}}
ANSWER = {"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}, "more": {"type": "integer"}}}
DOCUMENT: dict[str, Any] = {
    "paths": {
        "/v1/things/{thing_id}": {"get": {"responses": {"200": {"content": {"application/json": {"schema": ANSWER}}}}}},
        "/v1/chat/completions": {"post": {"responses": {"200": {"content": events(ChatCompletionChunk)}}}},
    },
    "components": {"schemas": {"ErrorAnswer": ERROR, "ChatCompletionChunk": CHUNK}},
}
HEADERS = {"x-request-id": "req_1", "openai-processing-ms": "3"}
FRAME: dict[str, Any] = {"type": "chunk", "node_id": None, "content_type": "text", "content": "hi", "content_metadata": {}, "done": False}


def look(line: str, body: str, *, status: int = 200, kind: str = "application/json", headers: dict[str, str] = HEADERS) -> None:
    head = "".join(f"{name}: {value}\r\n" for name, value in {**headers, "content-type": kind, "content-length": str(len(body))}.items())
    [exchange], _ = exchanges(f"{line} HTTP/1.1\r\nhost: x\r\n\r\n".encode(), f"HTTP/1.1 {status} X\r\n{head}\r\n{body}".encode())
    check_exchange(exchange, DOCUMENT)


def test_what_is_as_described_is_passed() -> None:
    look("GET /v1/things/7?a=b", '{"id": "x", "more": 1}')
    look("GET /elsewhere", '{"error": "none"}', status=404)
    look("POST /v1/chat/completions", 'data: {"id": "x"}\n\ndata: [DONE]\n\n', kind="text/event-stream")
    look("POST /v1/chat/completions", 'data: {"id": "x"}\n\ndata: {"error": "broke off"}\n\n', kind="text/event-stream")
    check_frame(FRAME)
    check_form({"a": [1], "b": {"c": ""}}, {"a": [2, 3], "b": {"c": "x", "d": None}})


@pytest.mark.parametrize(
    ("line", "body", "more"),
    [
        ("GET /v1/things/7", '{"more": 1}', {}),
        ("GET /v1/things/7", '{"id": "x", "new": 1}', {}),
        ("GET /v1/things/7", '{"id": "x"}', {"status": 202}),
        ("GET /v1/things/7", '{"id": "x"}', {"kind": "text/plain"}),
        ("GET /v1/things/7", '{"id": "x"}', {"headers": {"x-request-id": "req_1"}}),
        ("GET /v1/things/7", '{"id": "x"}', {"headers": {"openai-processing-ms": "3"}}),
        ("GET /elsewhere", '{"id": "x"}', {}),
        ("POST /v1/chat/completions", 'data: {"id": "x"}\n\n', {"kind": "text/event-stream"}),
        ("POST /v1/chat/completions", 'data: {"id": 1}\n\ndata: [DONE]\n\n', {"kind": "text/event-stream"}),
        ("POST /v1/chat/completions", ": keep-alive\n\n", {"kind": "text/event-stream"}),
    ],
)
def test_what_is_not_is_found(line: str, body: str, more: dict[str, Any]) -> None:
    with pytest.raises(AssertionError):
        look(line, body, **more)


@pytest.mark.parametrize("change", [{"done": "no"}, {"more": 1}, {"type": "error"}])
def test_a_frame_of_another_shape_is_found(change: dict[str, object]) -> None:
    with pytest.raises(AssertionError):
        check_frame({**FRAME, **change})


def test_what_is_said_on_one_connection_is_told_apart() -> None:
    said = b"POST /a HTTP/1.1\r\ncontent-length: 2\r\n\r\nhiGET /b HTTP/1.1\r\n\r\n"
    whole = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"
    chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    one, two = exchanges(said, whole + chunked)[0]
    assert (one.method, one.path, one.sent, one.body) == ("POST", "/a", b"hi", b"{}")
    assert (two.method, two.path, two.body) == ("GET", "/b", b"abc")
    with pytest.raises(AssertionError, match="more than it was asked for"):
        exchanges(said, whole + chunked + whole)


def test_frames_of_every_length_are_read() -> None:
    texts = ["a", "b" * 200, "c" * 70_000]
    payloads = [json.dumps({"content": text}).encode() for text in texts]
    sizes = [bytes([len(payloads[0])]), b"\x7e" + len(payloads[1]).to_bytes(2), b"\x7f" + len(payloads[2]).to_bytes(8)]
    frames = b"".join(b"\x81" + size + payload for size, payload in zip(sizes, payloads, strict=True))
    heard = b"HTTP/1.1 101 Switching Protocols\r\n\r\n" + frames + b"\x88\x02\x03\xe8"
    _, read = exchanges(b"GET /chat HTTP/1.1\r\n\r\n\x81\x80abcd", heard)
    assert [frame["content"] for frame in read] == texts
