"""/openapi.json and /docs describe the API truly: every answer seen here fits the schema that is declared for it."""

import json
import subprocess
import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from assistant.contracts.errors import NanobotError, ProviderFailed, ProviderTimeout, SessionBusy, StoreUnavailable, TurnCancelled
from assistant.contracts.messages import AssistantMessage, Text, ToolCall, UserMessage
from assistant.contracts.turns import TurnRequest
from assistant.turns.handle import RunningTurn

from .api_rig import Running, fail, serving
from .openapi_check import check

CHAT = "/v1/chat/completions"


@pytest.fixture
async def api(tmp_path: Path) -> AsyncGenerator[Running]:
    async with serving(tmp_path) as running:
        yield running


async def described(api: Running) -> dict[str, Any]:
    return (await api.client.get("/openapi.json")).json()


def check_answer(response: httpx2.Response, document: dict[str, Any], path: str) -> None:
    operation = document["paths"][path][response.request.method.lower()]
    declared = operation["responses"][str(response.status_code)]
    check(response.json(), declared["content"]["application/json"]["schema"], document)


async def test_every_answer_fits_its_schema(api: Running) -> None:
    document = await described(api)
    calls = (ToolCall(id="call_1", name="search", arguments="{}"),)
    api.sessions.keep("api:mine", UserMessage(id="msg_1", parts=(Text(text="hi"),)), AssistantMessage(id="msg_2", tool_calls=calls))
    check_answer(await api.chat("hi"), document, CHAT)
    check_answer(await api.client.get("/v1/models"), document, "/v1/models")
    check_answer(await api.client.get("/v1/models/gpt-test"), document, "/v1/models/{model_id}")
    check_answer(await api.client.get("/v1/models/none"), document, "/v1/models/{model_id}")
    check_answer(await api.client.get("/v1/sessions"), document, "/v1/sessions")
    check_answer(await api.client.get("/v1/sessions?limit=0"), document, "/v1/sessions")
    check_answer(await api.client.get("/v1/sessions/mine"), document, "/v1/sessions/{session_id}")
    check_answer(await api.client.delete("/v1/sessions/mine"), document, "/v1/sessions/{session_id}")
    check_answer(await api.client.delete("/v1/sessions/mine"), document, "/v1/sessions/{session_id}")
    check_answer(await api.client.get("/health"), document, "/health")
    check_answer(await api.client.get("/ready"), document, "/ready")


async def test_every_refusal_of_a_chat_is_declared(api: Running) -> None:
    document = await described(api)
    for response in (
        await api.chat("hi", stream="yes"),
        await api.chat("hi", model="none"),
        await api.client.post(CHAT, content=b"x"),
        await api.client.post(CHAT, json={}, headers={"origin": "https://evil.example"}),
        await api.client.post(CHAT, json={}, headers={"host": "evil.example"}),
        await api.client.post(CHAT, content=bytes(26 * 1024 * 1024), headers={"content-type": "application/json"}),
    ):
        assert response.status_code >= 400
        check_answer(response, document, CHAT)
    for error in (SessionBusy(), StoreUnavailable(), ProviderFailed(), ProviderTimeout(), TurnCancelled()):

        async def play(turn: RunningTurn, request: TurnRequest, error: NanobotError = error) -> None:
            fail(turn, error)

        api.turns.play = play
        response = await api.chat("hi")
        assert response.status_code == error.status
        check_answer(response, document, CHAT)


async def test_every_chunk_of_a_stream_fits_its_schema(api: Running) -> None:
    document = await described(api)
    assert "text/event-stream" in document["paths"][CHAT]["post"]["responses"]["200"]["content"]
    response = await api.chat("hi", stream=True, stream_options={"include_usage": True})
    events = [event.removeprefix("data: ") for event in response.text.split("\n\n") if event and event != "data: [DONE]"]
    assert len(events) == 5
    for event in events:
        check(json.loads(event), {"$ref": "#/components/schemas/ChatCompletionChunk"}, document)


async def test_both_kinds_of_request_are_described(api: Running) -> None:
    document = await described(api)
    body = document["paths"][CHAT]["post"]["requestBody"]["content"]
    assert set(body) == {"application/json", "multipart/form-data"}
    request = {
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
        "stop": ["a"],
        "temperature": 1,
        "session_id": "x",
    }
    check(request, body["application/json"]["schema"], document)
    check({"message": "hi", "files": ["bytes"], "stream": True}, body["multipart/form-data"]["schema"], document)


async def test_every_reference_leads_somewhere(api: Running) -> None:
    document = await described(api)
    text = json.dumps(document)
    names = {piece.partition('"')[0] for piece in text.split("#/components/schemas/")[1:]}
    assert names <= set(document["components"]["schemas"])


def test_the_api_is_loaded_without_what_a_request_does_not_need() -> None:
    heavy = "sqlalchemy sqlmodel alembic aiohttp httpx starlette.testclient websockets jinja2 structlog rich typer"
    script = f"import sys, assistant.api.app, assistant.api.server.serve; print([name for name in {heavy.split()} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=True)
    assert found.stdout.strip() == "[]"


async def test_the_page_of_the_description_is_there(api: Running) -> None:
    response = await api.client.get("/docs")
    assert response.status_code == 200
    document = await described(api)
    for name in (*document["paths"], *document["components"]["schemas"]):
        assert name in response.text
    assert "session_id" in response.text


async def test_the_page_brings_no_script_and_nothing_from_elsewhere(api: Running) -> None:
    response = await api.client.get("/docs")
    assert "<script" not in response.text
    assert "http" not in response.text.replace("http-equiv", "")
    assert response.headers["content-security-policy"].startswith("default-src 'none'; ")


async def test_only_what_is_answered_is_described(api: Running) -> None:
    document = await described(api)
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    unlike_ours = [
        operation for operation in operations if "ErrorAnswer" not in json.dumps(operation["responses"].get("422", "ErrorAnswer"))
    ]
    assert unlike_ours == []
    assert not {"HTTPValidationError", "ValidationError"} & set(document["components"]["schemas"])


async def test_what_needs_a_key_says_so(api: Running) -> None:
    document = await described(api)
    assert document["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
    open_paths = [path for path, operations in document["paths"].items() for operation in operations.values() if not operation["security"]]
    assert open_paths == ["/health", "/ready"]


async def test_a_key_for_repeats_is_described_at_every_post_that_needs_a_key(api: Running) -> None:
    document = await described(api)
    posts = [operations["post"] for operations in document["paths"].values() if "post" in operations]
    assert posts
    for operation in posts:
        named = [parameter["name"] for parameter in operation.get("parameters", [])]
        assert named.count("Idempotency-Key") == (operation["security"] != [])
        assert operation["security"] == [] or {"400", "409", "422"} <= set(operation["responses"])
