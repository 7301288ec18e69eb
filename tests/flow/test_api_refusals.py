"""What the API refuses in a request, with which status, and how it says so."""

import json
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from assistant.contracts.turns import UserText

from .api_rig import Running, error_of, serving

HI = {"role": "user", "content": "hi"}
PNG = "data:image/png;base64,iVBORw0KGgo="


@pytest.fixture
async def api(tmp_path: Path) -> AsyncGenerator[Running]:
    async with serving(tmp_path) as running:
        yield running


def part(**fields: object) -> list[object]:
    return [{"type": "text", "text": "look"}, fields]


WRONG_FIELDS = [
    ("stream", "yes"),
    ("stream", 1),
    ("temperature", 2.1),
    ("temperature", "1"),
    ("top_p", -0.1),
    ("max_tokens", 0),
    ("max_tokens", 1.5),
    ("max_tokens", True),
    ("max_completion_tokens", "many"),
    ("stop", ["a", "b", "c", "d", "e"]),
    ("stop", 5),
    ("seed", 2**64),
    ("reasoning_effort", "utmost"),
    ("response_format", "json"),
    ("response_format.type", {"type": "yaml"}),
    ("response_format", {"type": "json_schema"}),
    ("stream_options", 1),
    ("n", 2),
    ("n", 0),
    ("tools", [{"type": "function", "function": {"name": "f"}}] * 2),
    ("tools.0.function.name", [{"type": "function", "function": {"name": "a name"}}]),
    ("tools", [{"type": "function", "function": {"name": f"f{i}"}} for i in range(129)]),
    ("tool_choice", "sometimes"),
    ("functions", [{"name": "f"}]),
    ("logprobs", True),
    ("presence_penalty", 3),
    ("model", 5),
    ("session_id", ""),
    ("session_id", "x" * 5000),
    ("session_id", "a\nb"),
    ("session_id", "a\u202eb"),
    ("session_id", 7),
    ("session_id", "telegram:42"),
    ("session_id", "Cron:daily"),
    ("session_id", "api:default"),
]


@pytest.mark.parametrize(("param", "value"), WRONG_FIELDS)
async def test_a_field_out_of_range_or_of_a_wrong_type_is_400_with_its_path(api: Running, param: str, value: object) -> None:
    response = await api.chat("hi", **{param.split(".")[0]: value})
    assert response.status_code == 400
    assert error_of(response)["param"] == param
    assert error_of(response)["type"] == "invalid_request_error"
    assert api.turns.requests == []


@pytest.mark.parametrize("value", ["a", "x" * 256, "naïve – 日本語", "with space", "a:b", "telegram"])
async def test_a_session_id_of_printable_characters_is_taken(api: Running, value: str) -> None:
    assert (await api.chat("hi", session_id=value)).status_code == 200
    assert api.turns.only.session == f"api:{value}"


WRONG_MESSAGES: list[tuple[str, object]] = [
    ("messages", {}),
    ("messages", {"messages": []}),
    ("messages", {"messages": "hi"}),
    ("messages.0", {"messages": ["hi"]}),
    ("messages.0.role", {"messages": [{"content": "hi"}]}),
    ("messages.0.role", {"messages": [{"role": "poet", "content": "hi"}]}),
    ("messages", {"messages": [{"role": "system", "content": "hi"}]}),
    ("messages.0.role", {"messages": [HI, HI]}),
    ("messages.0.role", {"messages": [HI, {"role": "assistant", "content": "yes"}, HI]}),
    ("messages.1.role", {"messages": [HI, {"role": "assistant", "content": "yes"}]}),
    (
        "messages.0.role",
        {"messages": [HI, {"role": "assistant", "content": "yes"}, HI, {"role": "tool", "content": "x", "tool_call_id": "1"}]},
    ),
    ("messages.0.tool_call_id", {"messages": [{"role": "tool", "content": "x"}]}),
    ("messages.0.tool_call_id", {"messages": [{"role": "tool", "content": "x", "tool_call_id": ""}, HI]}),
    ("messages.0.role", {"messages": [HI, {"role": "system", "content": "late"}]}),
    ("messages.0.content", {"messages": [{"role": "user"}]}),
    ("messages.0.content", {"messages": [{"role": "user", "content": None}]}),
    ("messages.0.content", {"messages": [{"role": "user", "content": 5}]}),
    ("messages.0.content", {"messages": [{"role": "user", "content": ""}]}),
    ("messages.0.content", {"messages": [{"role": "user", "content": " \n"}]}),
    ("messages.0.content", {"messages": [{"role": "user", "content": []}]}),
    ("messages.0.content.0", {"messages": [{"role": "user", "content": ["hi"]}]}),
    ("messages.0.content.0.text", {"messages": [{"role": "user", "content": [{"type": "text"}]}]}),
    ("messages.0.content.0.text", {"messages": [{"role": "user", "content": [{"type": "text", "text": 1}]}]}),
    ("messages", {"messages": [5] * 100_000}),
    ("messages.0.content", {"messages": [{"role": "user", "content": [5] * 100_000}]}),
    ("messages.0.content.1.type", {"messages": [{"role": "system", "content": part(type="image_url", image_url={"url": PNG})}, HI]}),
]


@pytest.mark.parametrize(("param", "body"), WRONG_MESSAGES)
async def test_messages_that_are_not_one_of_the_users_are_400_with_the_path(api: Running, param: str, body: object) -> None:
    response = await api.client.post("/v1/chat/completions", json=body)
    assert response.status_code == 400
    assert error_of(response)["param"] == param
    assert api.turns.requests == []


async def test_a_refusal_is_a_sentence_that_a_person_understands(api: Running) -> None:
    response = await api.chat(5)
    assert error_of(response)["message"] == "'messages.0.content' must be a string or an array of parts."
    response = await api.chat("hi", temperature=3)
    assert error_of(response)["message"] == "'temperature' must be at most 2.0."


async def test_who_sends_a_history_is_told_of_sessions(api: Running) -> None:
    response = await api.client.post("/v1/chat/completions", json={"messages": [HI, HI]})
    assert "session_id" in (error_of(response)["message"] or "")


WRONG_PARTS = [
    ("unsupported_content", "type", part(type="input_audio", input_audio={"data": "", "format": "wav"})),
    ("unsupported_content", "type", part(type="hologram")),
    ("invalid_value", "type", part(text="no type")),
    ("invalid_value", "image_url", part(type="image_url", image_url=PNG)),
    ("unsupported_content", "image_url.url", part(type="image_url", image_url={"url": "https://example.org/a.png"})),
    ("invalid_value", "image_url.url", part(type="image_url", image_url={"url": "/etc/passwd"})),
    ("invalid_value", "image_url.url", part(type="image_url", image_url={"url": "data:image/png,plain"})),
    ("invalid_value", "image_url.url", part(type="image_url", image_url={"url": "data:image/png;base64,????"})),
    ("invalid_value", "image_url.url", part(type="image_url", image_url={"url": "data:image/png;base64,aGk"})),
    ("invalid_value", "image_url.url", part(type="image_url", image_url={"url": "data:image/png;base64,aGk=aGk="})),
    ("invalid_value", "image_url.url", part(type="image_url", image_url={"url": "data:image/png;base64,aéGk"})),
    ("invalid_value", "file.file_data", part(type="file", file={"filename": "a.pdf"})),
    ("invalid_value", "file.file_data", part(type="file", file={"filename": "a.pdf", "file_data": "not base64!"})),
]


@pytest.mark.parametrize(("code", "path", "content"), WRONG_PARTS)
async def test_content_that_cant_be_taken_is_400_and_never_dropped(api: Running, code: str, path: str, content: object) -> None:
    response = await api.chat(content)
    assert response.status_code == 400
    assert error_of(response)["code"] == code
    assert error_of(response)["param"] == f"messages.0.content.1.{path}"
    assert api.turns.requests == []
    assert api.spooled == []


WRONG_JSON = [
    b"",
    b"{",
    b'{"messages": NaN}',
    b'{"messages": 1e999}',
    b'{"x": "\xff"}',
    b'{"x": "\xed\xa0\x80"}',
    b"[" * 100_000,
    b"[" * 65 + b"]" * 65,
    b"\xef\xbb\xbf",
    b"\xef\xbb\xbf{",
    b"\xef\xbb{}",
    b"\xff\xfe{",
    b"\xff\xfe" + '{"x": "\ud83d"}'.encode("utf-16-le", "surrogatepass"),
    b"\xff\xfe" + ("[" * 65 + "]" * 65).encode("utf-16-le"),
    b"\xfe\xff\x00",
    "{}".encode("utf-16-le"),
    "{}".encode("utf-16-be"),
    b"\x00\x00\xfe\xff{}",
    b"\x00",
    b"\x80{}",
]


@pytest.mark.parametrize("body", WRONG_JSON, ids=lambda body: repr(body[:20]))
async def test_what_is_not_json_is_400_invalid_json(api: Running, body: bytes) -> None:
    response = await api.client.post("/v1/chat/completions", content=body, headers={"content-type": "application/json"})
    assert response.status_code == 400
    assert error_of(response)["code"] == "invalid_json"


WORDS = "字" * 300 + " naïve 🙂"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("lead", ["\ufeff", "\ufeff\ufeff", "\ufeff \r\n"], ids=ascii)
async def test_json_behind_a_byte_order_mark_is_read(api: Running, encoding: str, lead: str) -> None:
    body = lead + json.dumps({"messages": [{"role": "user", "content": WORDS}]}, ensure_ascii=False)
    headers = {"content-type": "application/json; charset=utf-8"}
    response = await api.client.post("/v1/chat/completions", content=body.encode(encoding), headers=headers)
    assert response.status_code == 200, response.text
    assert api.turns.only.content == (UserText(text=WORDS),)


@pytest.mark.parametrize("body", [b"[]", b"5", b'"hi"', b"null", b"\xef\xbb\xbf[]"])
async def test_json_that_is_no_object_is_400(api: Running, body: bytes) -> None:
    response = await api.client.post("/v1/chat/completions", content=body, headers={"content-type": "application/json"})
    assert response.status_code == 400
    assert error_of(response)["code"] == "invalid_value"


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "", "text/plain; application/json"])
async def test_json_without_its_content_type_is_415(api: Running, content_type: str) -> None:
    body = b'{"messages":[{"role":"user","content":"hi"}]}'
    response = await api.client.post("/v1/chat/completions", content=body, headers={"content-type": content_type})
    assert response.status_code == 415
    assert error_of(response)["code"] == "unsupported_media_type"
    assert api.turns.requests == []


async def test_an_unknown_model_is_404(api: Running) -> None:
    response = await api.chat("hi", model="gpt-other")
    assert response.status_code == 404
    assert error_of(response)["code"] == "model_not_found"
    assert error_of(response)["param"] == "model"


async def test_a_path_that_is_not_there_is_404(api: Running) -> None:
    response = await api.client.get("/v2/anything")
    assert response.status_code == 404
    assert error_of(response)["code"] == "not_found"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/v1/chat/completions", "OPTIONS, POST"),
        ("POST", "/v1/models", "GET, HEAD, OPTIONS"),
        ("PUT", "/v1/sessions/mine", "DELETE, GET, HEAD, OPTIONS, POST"),
        ("TRACE", "/health", "GET, HEAD, OPTIONS"),
    ],
)
async def test_a_method_that_a_path_does_not_take_is_405_with_those_that_it_does(
    api: Running, method: str, path: str, allowed: str
) -> None:
    response = await api.client.request(method, path)
    assert response.status_code == 405
    assert error_of(response)["code"] == "method_not_allowed"
    assert response.headers["allow"] == allowed


async def test_options_tells_the_methods(api: Running) -> None:
    response = await api.client.options("/v1/sessions/mine")
    assert response.status_code == 204
    assert response.headers["allow"] == "DELETE, GET, HEAD, OPTIONS, POST"
    assert response.content == b""
