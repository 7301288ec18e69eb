"""Keys at the front door: what they open, whose things they are, and when they stop."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from assistant.access import authenticator, browsers, principals
from assistant.access.principals import digest_of, new_secret
from assistant.access.settings import AuthSettings
from assistant.api.settings import ApiSettings
from assistant.contracts.access import SCOPES
from assistant.contracts.messages import Text, UserMessage
from assistant.contracts.turns import TextDelta, TurnRequest
from assistant.turns.handle import RunningTurn
from tests.flow.api_rig import error_of, finish
from tests.flow.socket_client import talking

from .conftest import SHARED, Keyed, Opener, bearer, begun

REVOKED_WITHIN = 30.0
"""Seconds on a machine that is busy. What the server itself lets pass is below."""


def test_nothing_that_was_revoked_is_trusted_for_longer_than_half_a_second() -> None:
    waits = (principals._FRESH_SECONDS, browsers._FRESH_SECONDS, authenticator._WATCH_SECONDS)  # pyright: ignore[reportPrivateUsage]
    assert max(waits) <= 0.5


async def test_a_key_opens_and_its_sessions_are_its_own(keyed: Keyed) -> None:
    (one, first), (two, second) = await keyed.key(), await keyed.key()
    assert (await keyed.chat(first)).status_code == 200
    assert (await keyed.chat(second)).status_code == 200
    assert (await keyed.chat(bearer(SHARED))).status_code == 200
    assert [request.owner for request in keyed.api.turns.requests] == [f"key:{one}", f"key:{two}", "local"]


async def test_what_belongs_to_another_key_is_not_there(keyed: Keyed) -> None:
    _, mine = await keyed.key()
    keyed.api.sessions.keep("api:owners", UserMessage(id="msg_1", parts=(Text(text="hi"),)))
    nothing = await keyed.api.client.get("/v1/sessions/nothing", headers=mine)
    for response in (
        await keyed.api.client.get("/v1/sessions/owners", headers=mine),
        await keyed.api.client.delete("/v1/sessions/owners", headers=mine),
    ):
        assert response.status_code == 404
        assert error_of(response) == error_of(nothing)
    assert (await keyed.api.client.get("/v1/sessions", headers=mine)).json()["data"] == []
    assert (await keyed.api.client.get("/v1/sessions/owners", headers=bearer(SHARED))).status_code == 200


ROUTES = [
    ("POST", "/v1/chat/completions", "chat"),
    ("GET", "/v1/models", "models"),
    ("HEAD", "/v1/models", "models"),
    ("GET", "/v1/models/gpt-test", "models"),
    ("GET", "/v1/sessions", "sessions"),
    ("GET", "/v1/sessions/a", "sessions"),
    ("DELETE", "/v1/sessions/a", "sessions"),
]


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
async def test_a_key_opens_what_its_scopes_say_and_nothing_else(keyed: Keyed) -> None:
    for scope in SCOPES:
        _, headers = await keyed.key(scope)
        for method, path, needed in ROUTES:
            body = {"messages": [{"role": "user", "content": "hi"}]} if method == "POST" else None
            response = await keyed.api.client.request(method, path, headers=headers, json=body)
            if scope in (needed, "admin"):
                assert response.status_code in (200, 404), (scope, method, path)
            else:
                assert response.status_code == 403, (scope, method, path)
                if method != "HEAD":
                    assert error_of(response)["code"] == "insufficient_scope"
                    assert needed in str(error_of(response)["message"])


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
async def test_over_either_socket_a_key_does_what_its_scopes_say_and_nothing_else(keyed: Keyed) -> None:
    _, workflows = await keyed.key("workflows")
    async with talking(keyed.api.port, path="/predict", additional_headers=workflows) as talk:
        for frame in ({"content": "hi"}, {"command": "chat_message", "data": {"content": "hi"}}):
            assert (await talk.refused(frame))["error_type"] == "insufficient_scope"
    _, chat = await keyed.key("chat")
    async with talking(keyed.api.port, additional_headers=chat) as talk:
        for frame in ({"content": "hi", "workflow_id": "brief"}, {"command": "run_job", "data": {"workflow_id": "brief"}}):
            assert (await talk.refused(frame))["error_type"] == "insufficient_scope"
    assert keyed.api.turns.requests == []


OF_ANY_CREDENTIAL = {"GET /v1/me", "POST /v1/logout", "GET /v1/browsers", "DELETE /v1/browsers/{browser_id}"}
"""They are about the caller alone."""


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
async def test_every_route_that_needs_a_key_declares_its_scope(keyed: Keyed) -> None:
    document = (await keyed.api.client.get("/openapi.json", headers=bearer(SHARED))).json()
    declared = {
        f"{method.upper()} {path}": operation.get("x-scope", "nothing declared")
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if operation["security"]
    }
    assert declared
    assert {route for route, scope in declared.items() if scope not in SCOPES} == OF_ANY_CREDENTIAL


async def test_a_model_or_agent_that_a_key_may_not_use_is_not_there(keyed: Keyed) -> None:
    """The default agent has two names: a pattern that fits either opens both."""
    everything = ["gpt-test", "agent:main"]
    for models, allowed in (
        (None, everything),
        (("*",), everything),
        (("gpt-*",), everything),
        (("claude-*", "agent:main"), everything),
        (("agent:other",), []),
        (("GPT-*",), []),
        ((), []),
    ):
        _, headers = await keyed.key(models=models)
        listed = (await keyed.api.client.get("/v1/models", headers=headers)).json()["data"]
        assert [each["id"] for each in listed] == allowed, models
        for name in everything:
            asked, shown = await keyed.chat(headers, model=name), await keyed.api.client.get(f"/v1/models/{name}", headers=headers)
            assert {asked.status_code, shown.status_code} == {200 if name in allowed else 404}, (models, name)
            if name not in allowed:
                assert error_of(asked)["code"] == error_of(shown)["code"] == "model_not_found"
        assert (await keyed.chat(headers)).status_code == (200 if "gpt-test" in allowed else 404)


async def test_a_revoked_key_is_refused_within_a_second(keyed: Keyed) -> None:
    key_id, headers = await keyed.key()
    assert (await keyed.chat(headers)).status_code == 200
    await keyed.store.keys.revoke(key_id)
    async with asyncio.timeout(REVOKED_WITHIN):
        while (response := await keyed.chat(headers)).status_code != 401:
            assert response.status_code == 200
    assert error_of(response)["code"] == "invalid_api_key"


async def says_a_word_and_waits(turn: RunningTurn, request: TurnRequest) -> None:
    if request.stream:
        turn.emit(TextDelta(text="Once"))
    await asyncio.Event().wait()


async def test_a_stream_ends_with_an_error_within_a_second_after_its_key_was_revoked(opened: Opener) -> None:
    async with opened(play=says_a_word_and_waits) as keyed:
        key_id, headers = await keyed.key()
        body = {"messages": [{"role": "user", "content": "hi"}], "stream": True}
        async with keyed.api.client.stream("POST", "/v1/chat/completions", json=body, headers=headers) as response:
            lines = response.aiter_lines()
            while "Once" not in await anext(lines):
                pass
            await keyed.store.keys.revoke(key_id)
            async with asyncio.timeout(REVOKED_WITHIN):
                rest = [line async for line in lines if line]
    assert len(rest) == 1
    assert '"invalid_api_key"' in rest[0]


async def test_an_answer_that_is_waited_for_is_401_once_its_key_is_revoked_and_others_go_on(opened: Opener) -> None:
    async with opened(play=says_a_word_and_waits) as keyed:
        (key_id, headers), (_, others) = await keyed.key(), await keyed.key()
        waiting, going_on = asyncio.create_task(keyed.chat(headers)), asyncio.create_task(keyed.chat(others))
        await begun(keyed.api.turns, 2)
        await keyed.store.keys.revoke(key_id)
        async with asyncio.timeout(REVOKED_WITHIN):
            refused = await waiting
        assert refused.status_code == 401
        assert not going_on.done()
        for turn in keyed.api.turns.turns:
            finish(turn, "done")
        assert (await going_on).status_code == 200


async def test_a_rotated_secret_closes_what_it_has_open_when_its_overlap_ends(opened: Opener) -> None:
    async with opened(play=says_a_word_and_waits) as keyed:
        key_id, old = await keyed.key()
        waiting = asyncio.create_task(keyed.chat(old))
        await begun(keyed.api.turns, 1)
        new, until = new_secret(), datetime.now(UTC) + timedelta(seconds=2)
        await keyed.store.keys.rotate(key_id, digest=digest_of(new.encode()), prefix=new[:8], overlap_until=until)
        assert (await keyed.api.client.get("/v1/models", headers=old)).status_code == 200
        assert (await keyed.api.client.get("/v1/models", headers=bearer(new))).status_code == 200
        async with asyncio.timeout(REVOKED_WITHIN):
            assert (await waiting).status_code == 401
        assert datetime.now(UTC) >= until
        assert (await keyed.api.client.get("/v1/models", headers=old)).status_code == 401
        assert (await keyed.api.client.get("/v1/models", headers=bearer(new))).status_code == 200


async def test_an_expired_key_is_refused_to_the_moment(keyed: Keyed) -> None:
    _, headers = await keyed.key(expires=timedelta(seconds=2))
    assert (await keyed.api.client.get("/v1/models", headers=headers)).status_code == 200
    await asyncio.sleep(2)  # the moment itself is what is tested
    assert (await keyed.api.client.get("/v1/models", headers=headers)).status_code == 401


async def test_a_key_shows_when_it_was_used(keyed: Keyed) -> None:
    _, headers = await keyed.key()
    before = datetime.now(UTC)
    await keyed.api.client.get("/v1/models", headers=headers)
    (key,) = await keyed.store.keys.list()
    assert key.last_used is not None
    assert key.last_used >= before.replace(microsecond=0)


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    "secret",
    [b"nbk_", b"nbk_" + b"a" * 43, b"nbk_" + b"a" * 16_000, b"nbk_\xff\xfe", "nbk_日本".encode(), b"x" * 16_000, b"nbk_'; DROP TABLE--"],
)
@pytest.mark.parametrize("api_key", [None, SHARED])
async def test_what_only_looks_like_a_key_is_401_even_where_nobody_is_asked(opened: Opener, secret: bytes, api_key: str | None) -> None:
    async with opened(ApiSettings.model_validate({"apiKey": api_key})) as keyed:
        response = await keyed.api.client.get("/v1/models", headers=[(b"authorization", b"Bearer " + secret)])
        expected = 401 if api_key or secret.startswith(b"nbk_") else 200
        assert response.status_code == expected


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("auth", "right", "wrong"),
    [
        ({"mode": "token", "token": "tok"}, "tok", "pw"),
        ({"mode": "static", "token": "tok"}, "tok", "tokk"),
        ({"mode": "password", "password": "pw"}, "pw", "tok"),
        ({"mode": "keys", "token": "tok"}, "tok", "pw"),
        ({"token": "tok"}, "tok", "pw"),
        ({"password": "pw"}, "pw", "tok"),
    ],
)
async def test_the_modes_let_in_by_their_secret(opened: Opener, auth: dict[str, str], right: str, wrong: str) -> None:
    async with opened(ApiSettings(), AuthSettings.model_validate(auth)) as keyed:
        _, key = await keyed.key()
        assert (await keyed.chat(bearer(right))).status_code == 200
        assert (await keyed.chat(key)).status_code == 200
        assert (await keyed.chat(bearer(wrong))).status_code == 401
        assert (await keyed.chat({})).status_code == 401


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
async def test_by_keys_alone_nobody_is_let_in_without_one(opened: Opener) -> None:
    async with opened(ApiSettings(), AuthSettings(mode="keys")) as keyed:
        _, key = await keyed.key()
        assert (await keyed.chat(key)).status_code == 200
        for headers in ({}, bearer("dummy"), bearer(SHARED)):
            assert (await keyed.chat(headers)).status_code == 401
