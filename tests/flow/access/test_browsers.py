"""Browsers at the front door: how they log in, what their cookie opens, and when it stops."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta

import httpx2
import pytest
from pydantic import SecretStr

from assistant.access.browsers import new_link
from assistant.access.principals import digest_of
from assistant.api.settings import ApiSettings, CorsSettings
from assistant.contracts.turns import TextDelta, TurnRequest
from assistant.turns.handle import RunningTurn
from tests.flow.api_rig import error_of
from tests.flow.openapi_check import check

from .conftest import SHARED, Keyed, Opener, bearer, begun

LOGIN = "/v1/login"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"
CUT_WITHIN = 30.0


def own(keyed: Keyed) -> dict[str, str]:
    return {"origin": f"http://127.0.0.1:{keyed.api.port}", "user-agent": FIREFOX}


async def link(keyed: Keyed, person: str = "local", ago: timedelta = timedelta(0)) -> str:
    secret, browser = new_link(person, datetime.now(UTC) - ago)
    await keyed.store.browsers.add(browser, digest_of(secret.encode()), link=True)
    return secret


async def log_in(keyed: Keyed, **how: object) -> httpx2.Response:
    answer = await keyed.api.client.post(LOGIN, json=how, headers=own(keyed))
    keyed.api.client.cookies.clear()  # each test says which cookies are sent
    return answer


async def logged_in(keyed: Keyed, **how: object) -> dict[str, str]:
    """The headers of a browser's requests."""
    answer = await log_in(keyed, **(how or {"link": await link(keyed)}))
    assert answer.status_code == 201, answer.text
    return {"cookie": answer.headers["set-cookie"].partition(";")[0], **own(keyed)}


async def me(keyed: Keyed, headers: dict[str, str]) -> httpx2.Response:
    return await keyed.api.client.get("/v1/me", headers=headers)


async def until_refused(keyed: Keyed, headers: dict[str, str]) -> None:
    async with asyncio.timeout(CUT_WITHIN):
        while (await me(keyed, headers)).status_code != 401:
            pass


async def test_a_link_logs_one_browser_in_as_the_owner(keyed: Keyed) -> None:
    secret = await link(keyed)
    answer = await log_in(keyed, link=secret)
    made = answer.json()
    assert (answer.status_code, made["object"], made["person"], made["name"]) == (201, "browser", "owner", "Firefox on Linux")
    cookie, *rest = answer.headers["set-cookie"].split("; ")
    assert rest == ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=2592000"]
    assert cookie.startswith("nanobot=nbb_")
    document = (await keyed.api.client.get("/openapi.json", headers=bearer(SHARED))).json()
    check(made, document["paths"][LOGIN]["post"]["responses"]["201"]["content"]["application/json"]["schema"], document)
    mine = (await me(keyed, {"cookie": cookie})).json()
    check(mine, document["paths"]["/v1/me"]["get"]["responses"]["200"]["content"]["application/json"]["schema"], document)
    assert (mine["object"], mine["person"]["id"], mine["scopes"], mine["browser"]) == ("me", "owner", None, made["id"])
    assert (mine["version"], mine["features"]) == ("1.2.3", ["people"])
    again = await log_in(keyed, link=secret)
    assert (again.status_code, "set-cookie" in again.headers) == (401, False)


async def test_a_link_is_used_once_by_servers_at_once(opened: Opener) -> None:
    async with opened() as one, opened() as two:
        secret = await link(one)
        answers = await asyncio.gather(*[log_in(server, link=secret) for _ in range(4) for server in (one, two)])
        assert sorted(answer.status_code for answer in answers) == [201] + [401] * 7
        (opens,) = [answer for answer in answers if answer.status_code == 201]
        cookie = {"cookie": opens.headers["set-cookie"].partition(";")[0]}
        assert [(await me(server, cookie)).status_code for server in (one, two)] == [200, 200]


@pytest.mark.parametrize(
    "body",
    [
        *({}, {"link": "nbl_", "key": "x"}, {"link": 1}, {"link": ""}, {"link": None}, {"key": []}, {"key": "x" * 20_001}, {"more": 1}),
        *([], "nbl_x", 7, {"link": "nbl_" + "a" * 200}),
    ],
)
@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
async def test_a_login_that_is_no_login_is_refused_by_its_form(keyed: Keyed, body: object) -> None:
    answer = await keyed.api.client.post(LOGIN, json=body, headers=own(keyed))
    assert answer.status_code == 400
    assert error_of(answer)["type"] == "invalid_request_error"


async def test_a_login_counts_as_a_request_of_its_key(keyed: Keyed) -> None:
    _, key = await keyed.key(requests=2)
    answers = [await log_in(keyed, key=key["authorization"].removeprefix("Bearer ")) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [201, 201, 429]
    assert int(answers[-1].headers["retry-after"]) > 0


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
async def test_a_login_of_another_kind_or_size_is_refused(keyed: Keyed) -> None:
    statuses = [
        (await keyed.api.client.post(LOGIN, content=content, headers={**own(keyed), "content-type": kind})).status_code
        for content, kind in (
            (b"{", "application/json"),
            (b'{"key":"' + b"x" * 70_000 + b'"}', "application/json"),
            (b"key=x", "application/x-www-form-urlencoded"),
            (b'{"key":"x"}', "text/plain"),
        )
    ]
    assert statuses == [400, 413, 415, 415]


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
async def test_wrong_links_and_keys_count_as_guesses_until_the_address_is_blocked(keyed: Keyed) -> None:
    good, old = await link(keyed), await link(keyed, ago=timedelta(minutes=6))
    wrong: list[dict[str, object]] = [{"link": old}, {"link": "nbl_" + "a" * 43}, {"link": "x"}, {"key": "nbk_" + "a" * 43}, {"key": "x"}]
    assert [(await log_in(keyed, **each)).status_code for each in wrong * 2] == [401] * 10
    assert [(await log_in(keyed, **each)).status_code for each in ({"link": good}, {"key": SHARED})] == [429, 429]
    assert (await me(keyed, bearer(SHARED))).status_code == 429


async def test_a_keys_browser_may_what_the_key_may_and_ends_with_it(keyed: Keyed) -> None:
    id, key = await keyed.key("chat", models=("gpt-*",), requests=100)
    browser = await logged_in(keyed, key=key["authorization"].removeprefix("Bearer "))
    mine = await me(keyed, browser)
    assert (mine.json()["person"]["id"], mine.json()["scopes"]) == (f"key:{id}", ["chat"])
    assert mine.headers["x-ratelimit-limit-requests"] == "100"
    assert (await keyed.chat(browser)).status_code == 200
    assert keyed.api.turns.only.owner == f"key:{id}"
    assert (await keyed.api.client.get("/v1/sessions", headers=browser)).status_code == 403
    await keyed.store.keys.revoke(id)
    await until_refused(keyed, browser)


async def test_a_browser_that_came_by_the_shared_key_ends_when_that_is_another(opened: Opener) -> None:
    async with opened() as keyed:
        came = await logged_in(keyed, key=SHARED), await logged_in(keyed)
        by_key, by_link = [{"cookie": each["cookie"]} for each in came]
        assert [(await me(keyed, each)).status_code for each in (by_key, by_link)] == [200, 200]
    async with opened() as keyed:
        assert [(await me(keyed, each)).status_code for each in (by_key, by_link)] == [200, 200]
    async with opened(ApiSettings(api_key=SecretStr("another-shared-key"))) as keyed:
        assert [(await me(keyed, each)).status_code for each in (by_key, by_link)] == [401, 200]


async def test_logging_out_ends_this_browser_or_all_and_what_they_have_open(opened: Opener) -> None:
    async def plays(turn: RunningTurn, request: TurnRequest) -> None:
        turn.emit(TextDelta(text="first"))
        await asyncio.Event().wait()

    async with opened(play=plays) as keyed:
        one, two, three = [await logged_in(keyed) for _ in range(3)]
        out = await keyed.api.client.post("/v1/logout", json={}, headers=one)
        assert (out.status_code, out.json()) == (200, {"object": "logout", "ended": 1})
        assert out.headers["set-cookie"] == "nanobot=; HttpOnly; SameSite=Strict; Path=/; Max-Age=0"
        assert [(await me(keyed, each)).status_code for each in (one, two)] == [401, 200]
        body = {"messages": [{"role": "user", "content": "hi"}], "stream": True}
        async with keyed.api.client.stream("POST", "/v1/chat/completions", json=body, headers=two) as answer:
            await begun(keyed.api.turns, 1)
            unused = await link(keyed)
            out = await keyed.api.client.post("/v1/logout", json={"everywhere": True}, headers=three)
            assert out.json()["ended"] == 2
            async with asyncio.timeout(CUT_WITHIN):
                last = [line async for line in answer.aiter_lines() if line][-1]
            assert "does not hold any more" in last
        assert [(await me(keyed, each)).status_code for each in (two, three)] == [401, 401]
        assert (await log_in(keyed, link=unused)).status_code == 401


async def test_browsers_are_listed_and_logged_out_by_their_person(keyed: Keyed) -> None:
    one, two = await logged_in(keyed), await logged_in(keyed)
    _, key = await keyed.key("chat")
    other = await logged_in(keyed, key=key["authorization"].removeprefix("Bearer "))
    listed = (await keyed.api.client.get("/v1/browsers", headers=one)).json()
    assert [each["person"] for each in listed["data"]] == ["owner", "owner"]
    assert [each["current"] for each in listed["data"]].count(True) == 1
    ids = {each["current"]: each["id"] for each in listed["data"]}
    assert len((await keyed.api.client.get("/v1/browsers", headers=other)).json()["data"]) == 1
    assert (await keyed.api.client.get("/v1/browsers", headers=key)).status_code == 403
    assert (await keyed.api.client.delete(f"/v1/browsers/{ids[False]}", headers=other)).status_code == 404
    assert (await keyed.api.client.delete(f"/v1/browsers/{ids[False]}", headers=one)).json()["deleted"] is True
    assert [(await me(keyed, each)).status_code for each in (one, two, other)] == [200, 401, 200]
    assert (await keyed.api.client.delete(f"/v1/browsers/{ids[False]}", headers=bearer(SHARED))).status_code == 404


COOKIES: list[bytes | list[bytes]] = [
    *(b"", b"nanobot", b"nanobot=", b"nanobot=x", b"nanobot=nbb_", b"nanobot=nbb_" + b"a" * 43, b"nanobot=nbk_" + b"a" * 43),
    *(b"nanobot=" + b"a" * 10_000, b"nanobot=\xff\xfe", b"nanobot=%00", b";;;=;nanobot;=nanobot", b"NANOBOT=nbb_" + b"a" * 43),
    *(b"a=b; nanobot=\xc3\xa4; c", [b"nanobot=x", b"nanobot=y"]),
]


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
async def test_cookies_that_open_nothing_count_as_none_and_never_as_guesses(opened: Opener) -> None:
    async with opened() as keyed:
        for cookie in COOKIES:
            given = [(b"cookie", each) for each in (cookie if isinstance(cookie, list) else [cookie])]
            answer = await keyed.api.client.get("/v1/me", headers=given)
            assert answer.status_code == 401, cookie
        assert (await me(keyed, bearer(SHARED))).status_code == 200
    async with opened(ApiSettings()) as keyed:  # open to this machine: its owner stays in
        for cookie in COOKIES:
            given = [(b"cookie", each) for each in (cookie if isinstance(cookie, list) else [cookie])]
            answer = await keyed.api.client.get("/v1/me", headers=given)
            assert (answer.status_code, answer.json()["browser"]) == (200, None), cookie


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
async def test_a_cookie_beside_another_of_its_name_opens_nothing(keyed: Keyed) -> None:
    browser = await logged_in(keyed)
    for more in ("nanobot=x; ", "nanobot=; ", browser["cookie"] + "; "):
        assert (await me(keyed, {"cookie": more + browser["cookie"]})).status_code == 401
    assert (await me(keyed, {"cookie": "a=b; " + browser["cookie"] + "; nanobots=x"})).status_code == 200
    assert (await me(keyed, {**browser, "authorization": "Bearer wrong"})).status_code == 401


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
async def test_a_cookie_changes_things_from_our_own_page_only(opened: Opener) -> None:
    settings = ApiSettings(api_key=SecretStr(SHARED), cors=CorsSettings(origins=("http://localhost:3000",)))
    async with opened(settings) as keyed:
        browser = await logged_in(keyed)
        cookie = {"cookie": browser["cookie"]}
        refused = [
            await keyed.chat(cookie),
            await keyed.chat({**cookie, "sec-fetch-site": "none"}),
            await keyed.chat({**cookie, "origin": "https://evil.example"}),
            await keyed.api.client.delete("/v1/sessions/a", headers=cookie),
            await keyed.api.client.post("/v1/logout", json={}, headers=cookie),
            await keyed.api.client.get("/v1/me", headers={**cookie, "origin": "https://evil.example"}),
        ]
        assert [(answer.status_code, error_of(answer)["code"]) for answer in refused] == [(403, "forbidden_origin")] * 6
        assert (await keyed.chat({**cookie, "origin": "http://localhost:3000"})).status_code == 401  # it may read, with a key of its own
        assert [(await keyed.chat({**cookie, **more})).status_code for more in (own(keyed), {"sec-fetch-site": "same-origin"})] == [
            200,
            200,
        ]
        assert (await me(keyed, {**cookie, "host": "rebound.example"})).status_code == 421


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
async def test_the_cookie_is_secure_where_the_page_came_by_https(opened: Opener) -> None:
    settings = ApiSettings(api_key=SecretStr(SHARED), allowed_origins=("https://chat.example",), allowed_hosts=("chat.example",))
    async with opened(settings) as keyed:
        headers = {"origin": "https://chat.example", "host": "chat.example"}
        answer = await keyed.api.client.post(LOGIN, json={"key": SHARED}, headers=headers)
        assert answer.headers["set-cookie"].endswith("Max-Age=2592000; Secure")


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("proxies", "said", "secure"),
    [
        (("127.0.0.0/8",), "https", True),
        (("127.0.0.0/8",), "http, HTTPS", True),
        (("127.0.0.0/8",), "https, http", False),
        (("127.0.0.0/8",), "", False),
        (("10.0.0.7",), "https", False),
        ((), "https", False),
    ],
)
async def test_only_a_trusted_proxy_says_that_the_page_came_by_https(
    opened: Opener, proxies: tuple[str, ...], said: str, secure: bool
) -> None:
    settings = ApiSettings(api_key=SecretStr(SHARED), trusted_proxies=proxies)
    async with opened(settings) as keyed:
        headers = {"sec-fetch-site": "same-origin", "x-forwarded-proto": said}
        answer = await keyed.api.client.post(LOGIN, json={"key": SHARED}, headers=headers)
        assert answer.status_code == 201
        assert ("Secure" in answer.headers["set-cookie"]) is secure


async def test_another_persons_link_opens_what_is_theirs(keyed: Keyed) -> None:
    id, _ = await keyed.key("chat", name="Anna")
    browser = await logged_in(keyed, link=await link(keyed, f"key:{id}"))
    mine = (await me(keyed, browser)).json()
    assert mine["person"]["id"] == f"key:{id}"
    assert {"chat", "sessions", "memory"} < set(mine["scopes"])
    assert not {"admin", "audit", "deliveries", "workflows", "mcp", "metrics"} & set(mine["scopes"])
    assert (await keyed.api.client.get("/v1/people", headers=browser)).status_code == 403


NAMES = [
    (FIREFOX, "Firefox on Linux"),
    ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/142.0.0.0 Safari/537.36 Edg/142.0", "Edge on Windows"),
    ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605 Version/18.0 Mobile/15E148 Safari/604.1", "Safari on iPhone"),
    ("Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 Chrome/142.0.0.0 Mobile Safari/537.36", "Chrome on Android"),
    ("curl/8.5.0", "curl"),
    ("\x1b[31m<script>alert(1)</script>", "[31m<script>alert"),
    ("", "Unknown"),
]


@pytest.fixture
async def sqlite_keyed(opened: Opener) -> AsyncGenerator[Keyed]:
    async with opened() as server:
        yield server


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
async def test_a_browser_is_called_what_it_says_it_is(sqlite_keyed: Keyed) -> None:
    for agent, name in NAMES:
        body = {"link": await link(sqlite_keyed)}
        raw = [(b"user-agent", agent.encode("latin-1").replace(b"\x1b", b"\xa0")), (b"content-type", b"application/json")]
        answer = await sqlite_keyed.api.client.post(LOGIN, json=body, headers=raw)
        sqlite_keyed.api.client.cookies.clear()
        assert answer.json()["name"] == name
