"""Who may come in: hosts, origins, keys. Each guard was seen to fail with the guard taken out."""

from collections.abc import AsyncGenerator
from pathlib import Path

import openai
import pytest
from pydantic import SecretStr

from assistant.api.server.bind import CannotServe, check_exposure
from assistant.api.settings import ApiSettings

from .api_rig import Running, error_of, serving

BODY = {"messages": [{"role": "user", "content": "hi"}]}
KEY = "s3cret-Schlüssel"


@pytest.fixture
async def api(tmp_path: Path) -> AsyncGenerator[Running]:
    settings = ApiSettings(allowed_hosts=("nas.example", "box.example:9000"), allowed_origins=("https://chat.example",))
    async with serving(tmp_path, settings) as running:
        yield running


@pytest.fixture
async def locked(tmp_path: Path) -> AsyncGenerator[Running]:
    async with serving(tmp_path, ApiSettings(api_key=SecretStr(KEY))) as running:
        yield running


GOOD_HOSTS = [
    "localhost", "LOCALHOST:8900", "localhost.", "127.0.0.1", "127.0.0.1:1", "[::1]", "[::1]:8900", "[0:0:0:0:0:0:0:1]",
    "nas.example", "nas.example:443", "NAS.example.", "box.example:9000",
]  # fmt: skip
BAD_HOSTS = [
    "evil.example", "evil.example.", "localhost.evil.example", "localhost:port", "localhost:99999", "[::1", "::1", "[::2]", "0.0.0.0",
    "nas.example..", "box.example", "box.example:9001", "localhost@evil.example", "localhost/", "", "127.0.0.1.evil.example", "lo\u0441alhost",
    "localhost:0000008900", "localhost:000000" + "9" * 5000, "localhost:" + "1" * 60_000,
]  # fmt: skip


@pytest.mark.parametrize("host", GOOD_HOSTS)
async def test_a_host_in_the_list_is_answered(api: Running, host: str) -> None:
    assert (await api.client.get("/v1/models", headers={"host": host})).status_code == 200


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/health", "/nowhere"])
@pytest.mark.parametrize("host", BAD_HOSTS)
async def test_any_other_host_is_421_on_every_path(api: Running, host: str, path: str) -> None:
    head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    answer = await api.raw(head.encode())
    assert answer.startswith(b"HTTP/1.1 421 ")
    assert b'"misdirected_host"' in answer


@pytest.mark.parametrize("hosts", [b"", b"Host: localhost\r\nHost: localhost\r\n", b"Host: localhost\r\nHost: evil.example\r\n"])
async def test_no_host_and_two_hosts_are_421(api: Running, hosts: bytes) -> None:
    answer = await api.raw(b"GET /health HTTP/1.1\r\n" + hosts + b"Connection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 421 ")


async def test_what_a_proxy_header_says_is_not_believed(api: Running) -> None:
    headers = {"host": "evil.example", "x-forwarded-host": "localhost", "x-forwarded-for": "127.0.0.1", "forwarded": "host=localhost"}
    assert (await api.client.get("/health", headers=headers)).status_code == 421


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://localhost:000000" + "9" * 5000},
        {"origin": "http://localhost:3000"},
        {"origin": "https://chat.example:444"},
        {"origin": "http://chat.example"},
        {"origin": "https://chat.example.evil.example"},
        {"origin": "https://chat.example/path"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "https://evil.example", "sec-fetch-site": "same-origin"},
    ],
)
async def test_a_web_page_elsewhere_is_403_in_json_and_in_forms(api: Running, headers: dict[str, str]) -> None:
    for response in (
        await api.client.post("/v1/chat/completions", json=BODY, headers=headers),
        await api.client.post("/v1/chat/completions", files={"files": ("a", b"a")}, headers=headers),
        await api.client.get("/v1/sessions", headers=headers),
    ):
        assert response.status_code == 403
        assert error_of(response)["code"] == "forbidden_origin"
        assert "access-control-allow-origin" not in response.headers
    assert api.turns.requests == []


async def test_an_allowed_origin_and_the_servers_own_may_call(api: Running) -> None:
    own = f"http://127.0.0.1:{api.port}"
    for headers in (
        {"origin": "https://chat.example", "sec-fetch-site": "cross-site"},
        {"origin": "https://CHAT.example:443"},
        {"origin": own, "sec-fetch-site": "same-origin"},
        {"sec-fetch-site": "none"},
    ):
        assert (await api.client.post("/v1/chat/completions", json=BODY, headers=headers)).status_code == 200


async def test_a_page_can_not_send_json_as_a_simple_request(api: Running) -> None:
    """What needs no preflight: text/plain. Refused although neither Origin nor Sec-Fetch-Site gives it away."""
    response = await api.client.post(
        "/v1/chat/completions", content=b'{"messages":[{"role":"user","content":"hi"}]}', headers={"content-type": "text/plain"}
    )
    assert response.status_code == 415
    assert api.turns.requests == []


async def test_the_key_opens(locked: Running) -> None:
    for scheme in ("Bearer", "bearer", "BEARER"):
        value = f"{scheme} {KEY}".encode()
        response = await locked.client.post("/v1/chat/completions", json=BODY, headers=[(b"authorization", value)])
        assert response.status_code == 200
    assert {request.owner for request in locked.turns.requests} == {"local"}


WRONG_KEYS = [
    b"", b"Bearer", b"Bearer wrong", b"Bearer s3cret", f"Basic {KEY}".encode(), KEY.encode(), "Bearer Schlüssel-日本".encode(),
    f"Bearer {KEY}x".encode(), f"Bearer {KEY}".encode("latin-1"), b"Bearer \xff\xfe",
]  # fmt: skip


@pytest.mark.parametrize(
    "path",
    ["/v1/chat/completions", "/v1/models", "/v1/sessions", "/docs", "/openapi.json", "/nowhere", "/nowhere//", "/healthy", "/ready/x"],
)
async def test_without_the_key_every_path_is_401(locked: Running, path: str) -> None:
    response = await locked.client.get(path)
    assert response.status_code == 401
    assert error_of(response)["code"] == "invalid_api_key"
    assert response.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("value", WRONG_KEYS)
async def test_a_wrong_key_is_401_whatever_its_bytes(locked: Running, value: bytes) -> None:
    response = await locked.client.post("/v1/chat/completions", json=BODY, headers=[(b"authorization", value)])
    assert response.status_code == 401
    assert locked.turns.requests == []


async def test_two_authorization_headers_are_401(locked: Running) -> None:
    right = f"Bearer {KEY}".encode()
    response = await locked.client.get("/v1/models", headers=[(b"authorization", right), (b"authorization", right)])
    assert response.status_code == 401


SLASHES = ["//v1/models", "/v1/models/", "/v1//models", "//v1//models//", "/v1/models///", "///v1/models"]


@pytest.mark.parametrize("path", SLASHES)
async def test_a_slash_too_many_changes_nothing(api: Running, path: str) -> None:
    url = f"http://127.0.0.1:{api.port}{path}"
    answer = await api.client.get(url)
    assert (answer.status_code, answer.json()["object"]) == (200, "list")
    assert (await api.client.head(url)).status_code == 200


@pytest.mark.parametrize("path", ["/v1/chat/completions/", "//v1/chat/completions", "/v1//chat/completions", "//v1/chat/completions//"])
async def test_a_slash_too_many_in_the_base_url_of_a_client(api: Running, path: str) -> None:
    assert (await api.client.post(f"http://127.0.0.1:{api.port}{path}", json=BODY)).status_code == 200


async def test_the_official_client_with_a_slash_at_the_end_of_its_base_url(api: Running) -> None:
    for base in ("/v1/", "//v1", "/v1//"):
        async with openai.AsyncOpenAI(base_url=f"http://127.0.0.1:{api.port}{base}", api_key="x", max_retries=0) as client:
            assert [model.id async for model in client.models.list()] == ["gpt-test", "agent:main"]


async def test_encoded_slashes_stay_in_an_id(api: Running) -> None:
    assert (await api.client.get("/v1/sessions/a%2F%2Fb%2F")).status_code == 404
    assert (await api.client.get("/v1/models/agent:main/")).json()["id"] == "agent:main"


@pytest.mark.parametrize("name", ["agent:main", "Agent:MAIN", "moltbot/main", "MOLTBOT:default", "nanobot/main", "openclaw", "agent: main"])
async def test_an_agent_is_shown_by_each_name_that_it_is_asked_by(api: Running, name: str) -> None:
    shown = await api.client.get(f"/v1/models/{name}")
    assert (shown.status_code, shown.json().get("id"), shown.json().get("type")) == (200, "agent:main", "agent")
    assert (await api.client.post("/v1/chat/completions", json={**BODY, "model": name})).json()["model"] == "agent:main"
    assert (await api.client.get("/v1/models/gpt-test")).json()["id"] == "gpt-test"


@pytest.mark.parametrize("name", ["agent:none", "agent:", "moltbot/none", "GPT-TEST", "agent/main", "nanobot"])
async def test_a_name_that_nobody_is_asked_by_is_404_in_both_places(api: Running, name: str) -> None:
    shown = await api.client.get(f"/v1/models/{name}")
    assert (shown.status_code, error_of(shown)["code"]) == (404, "model_not_found")
    assert (await api.client.post("/v1/chat/completions", json={**BODY, "model": name})).status_code == 404


OTHER_HEADERS = [b"x-api-key", b"X-Api-Key", b"api-key", b"API-KEY"]


@pytest.mark.parametrize("name", OTHER_HEADERS)
async def test_the_key_opens_in_other_headers(locked: Running, name: bytes) -> None:
    for value, status in ((KEY.encode(), 200), (b"wrong", 401), (b"", 401), (f"Bearer {KEY}".encode(), 401)):
        assert (await locked.client.get("/v1/models", headers=[(name, value)])).status_code == status, value


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([(b"authorization", b"Bearer wrong"), (b"x-api-key", KEY.encode())], 401),
        ([(b"authorization", f"Bearer {KEY}".encode()), (b"x-api-key", b"wrong")], 200),
        ([(b"x-api-key", b"wrong"), (b"api-key", KEY.encode())], 401),
        ([(b"api-key", b"wrong"), (b"x-api-key", KEY.encode())], 200),
        ([(b"x-api-key", b""), (b"api-key", KEY.encode())], 200),
        ([(b"x-api-key", KEY.encode()), (b"x-api-key", KEY.encode())], 401),
        ([(b"authorization", b"Basic dXNlcjpwYXNz"), (b"x-api-key", KEY.encode())], 401),
    ],
)
async def test_the_first_header_that_is_there_counts(locked: Running, headers: list[tuple[bytes, bytes]], status: int) -> None:
    assert (await locked.client.get("/v1/models", headers=headers)).status_code == status


OTHER_NAMES = [
    "nanobot:8900",
    "nanobot",
    "evil.example",
    "host.docker.internal:8900",
    "172.17.0.2:8900",
    "[fd00::1]:8900",
    "my_box",
    "xn--bcher-kva.example",
]


@pytest.mark.parametrize("host", OTHER_NAMES)
async def test_any_name_is_answered_where_the_key_is_right(locked: Running, host: str) -> None:
    right = [(b"host", host.encode()), (b"authorization", b"Bearer " + KEY.encode())]
    for path in ("/v1/models", "/health", "/", "/docs"):
        assert (await locked.client.get(path, headers=right)).status_code == 200, path
    other = [right[0], (b"x-api-key", KEY.encode())]
    assert (await locked.client.post("/v1/chat/completions", json=BODY, headers=other)).status_code == 200


@pytest.mark.parametrize("host", OTHER_NAMES)
@pytest.mark.parametrize("path", ["/v1/models", "/health", "/ready", "/", "/docs", "/nowhere", "/hooks/x", "/v1//models/"])
async def test_without_the_right_key_another_name_gets_the_same_421_everywhere(locked: Running, host: str, path: str) -> None:
    answers = [
        await locked.client.get(path, headers={"host": host, **more})
        for more in ({}, {"authorization": "Bearer wrong"}, {"x-api-key": "wrong"}, {"authorization": "Basic eDp5"})
    ]
    assert {answer.status_code for answer in answers} == {421}
    assert len({answer.text for answer in answers}) == 1
    assert (await locked.client.options(path, headers={"host": host})).status_code == 421


@pytest.mark.parametrize(
    "sign",
    [
        {"origin": "http://evil.example"}, {"origin": "null"}, {"referer": "http://evil.example/"}, {"sec-fetch-site": "same-origin"},
        {"sec-fetch-mode": "cors"}, {"cookie": "a=b"},
    ],
)  # fmt: skip
async def test_a_page_under_another_name_is_refused_with_the_key_too(locked: Running, sign: dict[str, str]) -> None:
    headers = [(b"host", b"evil.example"), (b"x-api-key", KEY.encode()), *[(n.encode(), v.encode()) for n, v in sign.items()]]
    assert (await locked.client.get("/v1/models", headers=headers)).status_code == 421
    assert (await locked.client.post("/v1/chat/completions", json=BODY, headers=headers)).status_code == 421


async def test_a_page_that_guesses_under_another_name_blocks_that_name_alone(locked: Running) -> None:
    guess = {"host": "evil.example", "authorization": "Bearer guess"}
    statuses = [(await locked.client.get("/v1/models", headers=guess)).status_code for _ in range(12)]
    assert statuses == [421] * 10 + [429] * 2
    right = [(b"authorization", b"Bearer " + KEY.encode())]
    assert (await locked.client.get("/v1/models", headers=[(b"host", b"evil.example"), *right])).status_code == 429
    assert (await locked.client.get("/v1/models", headers=right)).status_code == 200


@pytest.mark.parametrize("host", [b"nano bot", b"", b"a/b", b"evil.example:99999", b"[::1"])
async def test_a_malformed_name_is_421_with_the_key_too(locked: Running, host: bytes) -> None:
    head = b"GET /v1/models HTTP/1.1\r\nHost: " + host + b"\r\nX-Api-Key: " + KEY.encode() + b"\r\nConnection: close\r\n\r\n"
    assert (await locked.raw(head)).split()[1] in (b"421", b"400")


async def test_health_checks_by_head_need_no_key_where_get_needs_none(locked: Running) -> None:
    for path, status in (("/", 200), ("/health", 200), ("/ready", 200), ("/v1/models", 401), ("/docs", 401), ("/nowhere", 401)):
        head, get = await locked.client.head(path), await locked.client.get(path)
        assert (head.status_code, get.status_code, head.content) == (status, status, b"")
        assert head.headers["content-length"] == get.headers["content-length"]
    assert (await locked.client.post("/")).status_code == 405
    assert (await locked.client.get("/")).text == "nanobot is running. Its API is described at /docs.\n"


async def test_health_ready_and_options_need_no_key(locked: Running) -> None:
    assert (await locked.client.get("/health")).status_code == 200
    assert (await locked.client.get("/ready")).status_code == 200
    assert (await locked.client.options("/v1/models")).status_code == 204


async def test_without_a_key_set_any_key_is_taken(api: Running) -> None:
    assert (await api.client.get("/v1/models", headers={"authorization": "Bearer dummy"})).status_code == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "nas.example", ""])
def test_a_bind_beyond_loopback_without_a_key_is_refused(host: str) -> None:
    with pytest.raises(CannotServe, match="apiKey"):
        check_exposure(ApiSettings(host=host))
    check_exposure(ApiSettings(host=host, api_key=SecretStr(KEY)))


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "[::1]", "localhost", "127.8.8.8"])
def test_a_bind_to_loopback_needs_no_key(host: str) -> None:
    check_exposure(ApiSettings(host=host))


def test_a_blank_key_is_no_key() -> None:
    with pytest.raises(CannotServe):
        check_exposure(ApiSettings.model_validate({"host": "0.0.0.0", "apiKey": "  "}))


async def test_a_malformed_entry_of_the_lists_is_an_error_at_start(tmp_path: Path) -> None:
    for settings in (ApiSettings(allowed_hosts=("http://nas",)), ApiSettings(allowed_origins=("nas.example",))):
        with pytest.raises(ValueError, match="is not a"):
            await serving(tmp_path, settings).__aenter__()
