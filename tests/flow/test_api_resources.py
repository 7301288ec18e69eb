"""Models, sessions, health: what can be looked at."""

from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from pathlib import Path

import openai
import pytest

from assistant.api.health import ReadinessCheck
from assistant.api.settings import ApiSettings
from assistant.contracts.channels import ChannelStatus
from assistant.contracts.messages import AssistantMessage, Document, Image, Text, ToolCall, ToolMessage, Usage, UserMessage

from .api_rig import Running, error_of, serving
from .test_path import running


@pytest.fixture
async def api(tmp_path: Path) -> AsyncGenerator[Running]:
    async with serving(tmp_path) as running:
        yield running


async def test_the_default_agent_is_the_model_that_is_listed(api: Running) -> None:
    async with openai.AsyncOpenAI(base_url=f"http://127.0.0.1:{api.port}/v1", api_key="dummy") as client:
        assert [model.id async for model in client.models.list()] == ["gpt-test", "agent:main"]
        assert (await client.models.retrieve("gpt-test")).owned_by == "openai"
        with pytest.raises(openai.NotFoundError) as caught:
            await client.models.retrieve("gpt-other")
    assert caught.value.code == "model_not_found"


async def test_health_tells_the_version(api: Running) -> None:
    assert (await api.client.get("/health")).json() == {"status": "ok", "version": "1.2.3"}


async def test_ready_is_503_with_the_reason_while_a_check_fails(api: Running) -> None:
    assert (await api.client.get("/ready")).status_code == 200
    api.checks.append(ReadinessCheck(name="provider", ok=False, detail="No API key is set."))
    response = await api.client.get("/ready")
    assert response.status_code == 503
    assert response.json()["status"] == "not_ready"
    assert response.json()["checks"][-1] == {"name": "provider", "ok": False, "detail": "No API key is set."}


async def test_ready_says_how_channels_fare_and_a_degraded_one_does_not_make_it_unready(tmp_path: Path) -> None:
    since = datetime(2026, 1, 31, 8, tzinfo=UTC)
    status = ChannelStatus(name="telegram", state="degraded", detail="no connection; tried again in 8 s", since=since)
    async with serving(tmp_path, channels=[status]) as api:
        response = await api.client.get("/ready")
    assert response.status_code == 200
    assert response.json()["channels"] == [
        {"name": "telegram", "state": "degraded", "detail": "no connection; tried again in 8 s", "since": "2026-01-31T08:00:00.000Z"}
    ]


@pytest.mark.parametrize("path", ["/health", "/ready", "/v1/models", "/v1/sessions"])
async def test_head_is_get_without_its_body(api: Running, path: str) -> None:
    head, get = await api.client.head(path), await api.client.get(path)
    assert head.status_code == get.status_code == 200
    assert head.content == b""
    assert head.headers["content-length"] == get.headers["content-length"]


async def test_sessions_are_listed_page_by_page(api: Running) -> None:
    for key in ("api:first", "telegram:42", "api:last"):
        api.sessions.keep(key, UserMessage(id="msg_1", parts=(Text(text="hi"),)), usage=Usage(prompt_tokens=3, completion_tokens=2))
    api.sessions.keep("api:foreign", owner="somebody else")
    page = (await api.client.get("/v1/sessions", params={"limit": 2})).json()
    assert [session["id"] for session in page["data"]] == ["last", "telegram:42"]
    assert page["has_more"] is True
    assert page["data"][0]["usage"] == {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    rest = (await api.client.get("/v1/sessions", params={"before": "telegram:42"})).json()
    assert [session["id"] for session in rest["data"]] == ["first"]
    assert rest["has_more"] is False


async def test_a_session_is_shown_with_its_messages(api: Running) -> None:
    image = Image(attachment_id="att_1", name="a.png", media_type="image/png", width=1, height=1, size=9, original="PNG, 1×1")
    document = Document(attachment_id="att_2", name="b.txt", format="text", size=4, text="words")
    call = ToolCall(id="call_1", name="search", arguments="{}")
    api.sessions.keep(
        "api:a/b c",
        UserMessage(id="msg_1", parts=(Text(text="one"), image, Text(text="two"), document)),
        AssistantMessage(id="msg_2", tool_calls=(call,)),
        ToolMessage(id="msg_3", call_id="call_1", name="search", text="found"),
        AssistantMessage(id="msg_4", text="half", cut_off="timeout", reasoning="let me see", model="gpt-test-1"),
    )
    session = (await api.client.get("/v1/sessions/a%2Fb%20c")).json()
    assert (session["id"], session["messages"], session["has_more"]) == ("a/b c", 4, False)
    assert [message["content"] for message in session["data"]] == ["one\ntwo", "", "found", "half"]
    assert [attachment["name"] for attachment in session["data"][0]["attachments"]] == ["a.png", "b.txt"]
    assert session["data"][1]["tool_calls"] == [{"id": "call_1", "name": "search", "arguments": "{}"}]
    assert session["data"][3]["cut_off"] == "timeout"
    told = [{name: message[name] for name in ("tool_call_id", "name", "ok", "pending")} for message in session["data"]]
    assert [(message["reasoning"], message["model"]) for message in session["data"]] == [("", "")] * 3 + [("let me see", "gpt-test-1")]
    nothing = dict.fromkeys(("tool_call_id", "name", "ok", "pending"))
    assert told == [nothing, nothing, {"tool_call_id": "call_1", "name": "search", "ok": True, "pending": None}, nothing]
    page = (await api.client.get("/v1/sessions/a%2Fb%20c", params={"after": 1, "limit": 2})).json()
    assert [message["seq"] for message in page["data"]] == [2, 3]
    assert page["has_more"] is True


async def test_a_deleted_session_is_gone(api: Running) -> None:
    api.sessions.keep("api:mine", UserMessage(id="msg_1", parts=(Text(text="hi"),)))
    assert (await api.client.delete("/v1/sessions/mine")).json() == {"id": "mine", "object": "session.deleted", "deleted": True}
    for response in (await api.client.get("/v1/sessions/mine"), await api.client.delete("/v1/sessions/mine")):
        assert response.status_code == 404
        assert error_of(response)["code"] == "session_not_found"


async def test_a_session_is_compacted(tmp_path: Path) -> None:
    async with running(tmp_path, {"agents": {"defaults": {"provider": "offline"}}}) as client:
        for number in range(6):
            asked = {
                "messages": [{"role": "user", "content": f"My order {number} is KX-{number}55. " + "It rains. " * 40}],
                "session_id": "a/b",
            }
            assert (await client.post("/v1/chat/completions", json=asked)).status_code == 200
        path = "/v1/sessions/a%2Fb/compact"
        assert (await client.post(path)).json() == {"id": "a/b", "object": "session.compacted", "compacted": True}
        assert (await client.get("/v1/sessions/a%2Fb")).json()["messages"] == 12, "all stay stored"
        once = {"messages": [{"role": "user", "content": "hi"}], "session_id": "short"}
        await client.post("/v1/chat/completions", json=once)
        assert (await client.post("/v1/sessions/short/compact")).json()["compacted"] is False
        gone = await client.post("/v1/sessions/none/compact")
        assert (gone.status_code, gone.json()["error"]["code"]) == (404, "session_not_found")


@pytest.mark.parametrize("identity", ["%00", "x" * 600, "%ED%A0%80%01"])
async def test_a_session_that_can_not_exist_is_not_found(api: Running, identity: str) -> None:
    for response in (await api.client.get(f"/v1/sessions/{identity}"), await api.client.delete(f"/v1/sessions/{identity}")):
        assert response.status_code == 404
        assert error_of(response)["code"] == "session_not_found"


async def test_somebody_elses_session_is_the_same_404_as_none(api: Running) -> None:
    api.sessions.keep("api:theirs", UserMessage(id="msg_1", parts=(Text(text="hi"),)), owner="somebody else")
    theirs, none = await api.client.get("/v1/sessions/theirs"), await api.client.get("/v1/sessions/none")
    assert theirs.status_code == none.status_code == 404
    assert theirs.json() == none.json()
    assert (await api.client.delete("/v1/sessions/theirs")).status_code == 404


@pytest.mark.parametrize(
    ("query", "param"), [("limit=0", "limit"), ("limit=many", "limit"), ("limit=201", "limit"), ("before=" + "x" * 301, "before")]
)
async def test_a_page_that_can_not_be_is_400(api: Running, query: str, param: str) -> None:
    response = await api.client.get(f"/v1/sessions?{query}")
    assert response.status_code == 400
    assert error_of(response)["param"] == param


@pytest.mark.parametrize("after", ["-1", str(2**63), "9" * 4000])
async def test_a_place_in_a_session_that_can_not_be_is_400(api: Running, after: str) -> None:
    api.sessions.keep("api:one", UserMessage(id="msg_1", parts=(Text(text="hi"),)))
    response = await api.client.get(f"/v1/sessions/one?after={after}")
    assert response.status_code == 400
    assert error_of(response)["param"] == "after"


async def test_a_store_that_is_down_is_503_and_says_when_to_come_back(api: Running) -> None:
    api.sessions.broken = True
    response = await api.client.get("/v1/sessions")
    assert response.status_code == 503
    assert error_of(response)["code"] == "store_unavailable"
    assert int(response.headers["retry-after"]) > 0


async def test_the_chat_endpoint_can_be_switched_off(tmp_path: Path) -> None:
    settings = ApiSettings.model_validate({"endpoints": {"chatCompletions": {"enabled": False}}})
    async with serving(tmp_path, settings) as api:
        response = await api.chat("hi")
        assert response.status_code == 404
        assert error_of(response)["code"] == "not_found"


def test_nanobots_own_section_loads() -> None:
    settings = ApiSettings.model_validate({"host": "127.0.0.1", "port": 8900, "timeout": 120.0, "apiKey": ""})
    assert settings == ApiSettings()
    assert ApiSettings.model_validate({"api_key": "k"}).api_key is not None
    assert "hidden" not in repr(ApiSettings.model_validate({"apiKey": "hidden"}))
