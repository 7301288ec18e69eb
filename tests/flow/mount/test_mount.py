"""The router in somebody's own FastAPI app: our promises on our routes, and nothing changed on theirs."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest
from fastapi import Depends, FastAPI, HTTPException
from starlette.types import Receive, Scope, Send

from assistant.api.server.bind import CannotServe
from assistant.config import ConfigError
from assistant.contracts.messages import Json
from assistant.mount import create_openai_compatible_router
from tests.doubles.model_server import ModelServer
from tests.flow.openapi_check import check

from .host import PREFIX, from_elsewhere, host, running

CHAT = f"{PREFIX}/v1/chat/completions"
MODELS = f"{PREFIX}/v1/models"
HI = {"messages": [{"role": "user", "content": "hi"}]}
NO_MODEL = "No model is configured"


@asynccontextmanager
async def mounted(settings: dict[str, Json] | None = None, **more: Any) -> AsyncGenerator[httpx2.AsyncClient]:
    router = create_openai_compatible_router(provider="offline", settings=settings or {}, **more)
    async with running(host(router)) as client:
        yield client


def refused(response: httpx2.Response, status: int) -> str:
    """The code of a refusal in our form."""
    assert response.status_code == status, response.text
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert response.headers["x-request-id"].startswith("req_")
    return error["code"]


async def test_it_answers_whole_as_a_stream_and_of_files_beside_routes_that_are_not_its_own() -> None:
    async with mounted() as client:
        whole = await client.post(CHAT, json=HI)
        assert NO_MODEL in whole.json()["choices"][0]["message"]["content"]
        assert whole.headers["x-request-id"].startswith("req_")
        assert whole.headers["x-theirs"] == "1", "their middleware is before ours"
        lines = [line for line in (await client.post(CHAT, json={**HI, "stream": True})).text.splitlines() if line]
        assert len(lines) > 4
        assert lines[-1] == "data: [DONE]"
        upload = await client.post(CHAT, data={"message": "read"}, files=[("files", ("notes.txt", b"in the file"))])
        assert "in the file" in upload.json()["choices"][0]["message"]["content"]
        assert (await client.get("/theirs")).json() == {"state": "kept"}
        assert "x-request-id" not in (await client.get("/theirs")).headers


async def test_openais_own_client_needs_only_the_address() -> None:
    async with (
        mounted() as client,
        openai.AsyncOpenAI(base_url=f"{str(client.base_url).rstrip('/')}{PREFIX}/v1", api_key="dummy") as official,
    ):
        model = (await official.models.list()).data[0].id
        assert (await official.models.retrieve(model)).id == model
        stream = await official.chat.completions.create(model=model, messages=[{"role": "user", "content": "hi"}], stream=True)
        words = [chunk.choices[0].delta.content or "" async for chunk in stream]
        assert NO_MODEL in "".join(words)
        with pytest.raises(openai.NotFoundError):
            await official.models.retrieve("a/b c")


async def test_errors_have_our_form_on_our_routes_and_theirs_on_theirs() -> None:
    async with mounted() as client:
        assert refused(await client.post(CHAT, json={"messages": []}), 400) == "invalid_value"
        assert refused(await client.get(f"{MODELS}/none"), 404) == "model_not_found"
        answer = await client.get(CHAT)
        assert refused(answer, 405) == "method_not_allowed"
        assert answer.headers["allow"] == "OPTIONS, POST"
        assert (await client.options(MODELS)).status_code == 204
        assert (await client.head(MODELS)).headers["content-type"] == "application/json"
        assert (await client.get("/fails")).json() == {"their_error": "theirs"}
        for path in (f"{PREFIX}/v1/nothing", f"{PREFIX}/v1/sessions", f"{PREFIX}/health", "/v1/models", f"{PREFIX}/v1"):
            answer = await client.get(path)
            assert (answer.status_code, answer.json()) == (404, {"detail": "Not Found"})


async def test_who_comes_in_and_from_where_is_checked_on_our_routes_only() -> None:
    async with mounted({"api.apiKey": "the-key"}) as client:
        answer = await client.get(MODELS)
        assert refused(answer, 401) == "invalid_api_key"
        assert answer.headers["www-authenticate"] == "Bearer"
        key = {"authorization": "Bearer the-key"}
        assert (await client.get(MODELS, headers=key)).status_code == 200
        assert refused(await client.get(MODELS, headers={"host": "evil.example"}), 421) == "misdirected_host"
        assert (await client.get(MODELS, headers={**key, "host": "nanobot:8900"})).status_code == 200
        assert refused(await client.get(MODELS, headers={**key, "origin": "https://evil.example"}), 403) == "forbidden_origin"
        assert (await client.get("/theirs", headers={"host": "evil.example", "origin": "https://evil.example"})).status_code == 200


async def test_limits_and_repeats_hold() -> None:
    async with mounted({"api.limits.jsonBytes": 500, "api.limits.requestsPerMinute": 4}) as client:
        twice = [await client.post(CHAT, json=HI, headers={"idempotency-key": "one"}) for _ in range(2)]
        assert twice[0].content == twice[1].content
        assert twice[1].headers["idempotency-replayed"] == "true"
        assert refused(await client.post(CHAT, json={**HI, "user": "x" * 500}), 413) == "request_too_large"
        assert (await client.get(MODELS)).headers["x-ratelimit-remaining-requests"] == "0"
        assert refused(await client.get(MODELS), 429) == "rate_limit_exceeded"


async def test_what_it_answers_is_in_the_apps_own_description() -> None:
    async with mounted() as client:
        document = (await client.get("/openapi.json")).json()
        assert set(document["paths"]) == {"/theirs", "/fails", CHAT, MODELS, f"{MODELS}/{{model_id}}"}
        for method, path, body in (("post", CHAT, HI), ("post", CHAT, {}), ("get", MODELS, None)):
            answer = await client.request(method, path, json=body)
            declared = document["paths"][path][method]["responses"][str(answer.status_code)]
            check(answer.json(), declared["content"]["application/json"]["schema"], document)
        taken = document["paths"][CHAT]["post"]["requestBody"]["content"]
        assert {"messages", "stream"} <= set(taken["application/json"]["schema"]["properties"])
        assert "#/$defs" not in json.dumps(document)


async def test_it_is_open_as_long_as_its_app_runs(home: Path) -> None:
    events: list[str] = []
    router = create_openai_compatible_router(provider="offline")
    assert not home.exists(), "nothing is opened before the app runs"  # noqa: ASYNC240
    app = host(router, events=events)
    app.include_router(router, prefix="/again")
    for times in (1, 2):  # an app can be started again
        async with running(app) as client:
            assert (await client.get("/again/v1/models")).status_code == (await client.get(MODELS)).status_code == 200
        assert events == ["begun", "ended"] * times
    transport = httpx2.ASGITransport(app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        answer = await client.get(MODELS)
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "not_open")


async def test_an_app_without_a_lifespan_is_told_what_it_lacks() -> None:
    inner = FastAPI()
    inner.include_router(create_openai_compatible_router(provider="offline"))
    outer = host(None)
    outer.mount("/inner", inner)
    async with running(outer) as client:
        answer = await client.post("/inner/v1/chat/completions", json=HI)
        assert answer.status_code == 503
        assert answer.headers["x-should-retry"] == "false"
        assert "include the router in the outermost app" in answer.json()["error"]["message"]


async def test_dependencies_of_the_app_hold_before_anything_of_ours() -> None:
    def stranger() -> None:
        raise HTTPException(402, "pay first")

    app = FastAPI()
    app.include_router(create_openai_compatible_router(provider="offline"), prefix=PREFIX, dependencies=[Depends(stranger)])
    async with running(app) as client:
        for answer in (await client.post(CHAT, json=HI), await client.get(MODELS), await client.options(CHAT)):
            assert (answer.status_code, answer.json()) == (402, {"detail": "pay first"})


async def test_without_a_key_only_this_machine_may_ask_unless_the_app_is_trusted() -> None:
    async with from_elsewhere(host(create_openai_compatible_router(provider="offline"))) as client:
        for header in ({}, {"authorization": "Bearer dummy"}, {"x-forwarded-for": "127.0.0.1"}):
            answer = await client.get(MODELS, headers=header)
            assert refused(answer, 401) == "invalid_api_key"
            assert "only this machine may ask" in answer.json()["error"]["message"]
    async with from_elsewhere(host(create_openai_compatible_router(provider="offline", trusts_host=True))) as client:
        assert (await client.get(MODELS)).status_code == 200
    keyed = create_openai_compatible_router(provider="offline", settings={"api.apiKey": "k"})
    async with from_elsewhere(host(keyed)) as client:
        assert (await client.get(MODELS, headers={"authorization": "Bearer k"})).status_code == 200


async def test_what_a_proxy_on_this_machine_passes_on_is_not_taken_for_this_machines() -> None:
    async with mounted() as client:
        assert (await client.get(MODELS)).status_code == 200
        for header in ({"x-forwarded-for": "127.0.0.1"}, {"x-real-ip": "127.0.0.1"}, {"forwarded": "for=127.0.0.1"}, {"via": "1.1 proxy"}):
            assert refused(await client.get(MODELS, headers=header), 401) == "invalid_api_key"
    async with mounted({"api.trustedProxies": ["127.0.0.1"]}) as client:
        assert (await client.get(MODELS, headers={"x-forwarded-for": "127.0.0.1"})).status_code == 200
        assert (await client.get(MODELS, headers={"x-forwarded-for": "192.0.2.7"})).status_code == 401


async def test_workflows_and_tools_are_those_that_were_named(tmp_path: Path) -> None:
    (tmp_path / "greet.yaml").write_text('nodes: {a: {kind: template, text: "Hello"}}\noutputs: {said: "{{ a.output }}"}\n')
    async with mounted(tools=[], workflows=["greet.yaml", Path("greet.yaml")]) as client:
        assert [model["id"] for model in (await client.get(MODELS)).json()["data"]] == ["offline", "agent:main", "workflow:greet"]
        answer = await client.post(CHAT, json={**HI, "model": "workflow:greet"})
        assert answer.json()["choices"][0]["message"]["content"] == "Hello"


class Impatient:
    """Middleware of the app that cancels what takes too long, when the test says so."""

    def __init__(self, app: FastAPI) -> None:
        self.app = app
        self.enough = asyncio.Event()
        self.cancelled = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        task = asyncio.ensure_future(self.app(scope, receive, send))
        waiting = asyncio.ensure_future(self.enough.wait())
        await asyncio.wait([task, waiting], return_when=asyncio.FIRST_COMPLETED)
        task.cancel()
        await asyncio.wait([task])
        self.cancelled = task.cancelled()
        waiting.cancel()
        await send({"type": "http.response.start", "status": 504, "headers": []})
        await send({"type": "http.response.body", "body": b"theirs"})


async def test_a_request_that_the_app_cancels_is_cancelled_and_its_answer_is_the_apps() -> None:
    async with ModelServer() as model:
        model.configure(mode="hang")
        settings: dict[str, Json] = {"providers.custom.apiBase": model.url, "shutdown.grace": 0}
        app = FastAPI()
        app.include_router(create_openai_compatible_router("custom", "stand-in", settings=settings), prefix=PREFIX)
        impatient = Impatient(app)
        async with app.router.lifespan_context(app):
            transport = httpx2.ASGITransport(impatient)
            async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:1") as client:
                asking = asyncio.create_task(client.post(CHAT, json=HI))
                async with asyncio.timeout(20):
                    await model.until(lambda stats: stats.inflight == 1)
                impatient.enough.set()
                answer = await asking
        assert (answer.status_code, answer.text, impatient.cancelled) == (504, "theirs", True)


def test_what_can_not_be_served_is_known_when_the_router_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="no such key"):
        create_openai_compatible_router(settings={"api.prot": 1})
    with pytest.raises(CannotServe, match="SUPABASE_URL and SUPABASE_KEY"):
        create_openai_compatible_router(remote_auth=True)
    monkeypatch.setenv("NODETOOL_ENVIRONMENT", "Production")
    with pytest.raises(CannotServe, match="requests would need no key"):
        create_openai_compatible_router()
    create_openai_compatible_router(trusts_host=True)
    create_openai_compatible_router(settings={"api.apiKey": "k"})
