"""Web pages that may call and read: those that are named, exactly."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from assistant.api.settings import ApiSettings, CorsSettings

from .api_rig import Running, serving

PAGE = "http://localhost:3000"
BODY = {"messages": [{"role": "user", "content": "hi"}]}
PREFLIGHT = {
    "origin": PAGE,
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization,content-type,x-stainless-os",
}


@pytest.fixture
async def api(tmp_path: Path) -> AsyncGenerator[Running]:
    settings = ApiSettings(api_key=SecretStr("key"), cors=CorsSettings(origins=(PAGE,)), allowed_origins=("https://send.example",))
    async with serving(tmp_path, settings) as running:
        yield running


async def test_a_preflight_of_a_named_page_is_answered_without_a_key(api: Running) -> None:
    response = await api.client.options("/v1/chat/completions", headers=PREFLIGHT)
    assert response.status_code == 204
    assert response.headers["access-control-allow-origin"] == PAGE
    assert "POST" in response.headers["access-control-allow-methods"]
    assert response.headers["access-control-allow-headers"] == PREFLIGHT["access-control-request-headers"]
    assert response.headers["vary"] == "Origin"
    assert "access-control-allow-credentials" not in response.headers


async def test_a_named_page_reads_answers_errors_and_streams(api: Running) -> None:
    key = {"authorization": "Bearer key", "origin": PAGE, "sec-fetch-site": "same-site"}
    for response, status in (
        (await api.client.post("/v1/chat/completions", json=BODY, headers=key), 200),
        (await api.client.post("/v1/chat/completions", json={**BODY, "stream": True}, headers=key), 200),
        (await api.client.post("/v1/chat/completions", json={}, headers=key), 400),
        (await api.client.get("/v1/models", headers={"origin": PAGE}), 401),
        (await api.client.get("/nowhere", headers=key), 404),
    ):
        assert response.status_code == status
        assert response.headers["access-control-allow-origin"] == PAGE
        assert response.headers["vary"] == "Origin"
        exposed = response.headers["access-control-expose-headers"].split(", ")
        assert {"x-request-id", "retry-after", "x-ratelimit-remaining-requests", "x-ratelimit-reset-tokens", "x-nanobot-notice"} <= set(
            exposed
        )


@pytest.mark.parametrize("origin", ["http://localhost:3001", "https://localhost:3000", "http://localhost:3000.evil.example", "null", "*"])
async def test_a_page_that_is_not_named_is_refused_and_can_not_read_why(api: Running, origin: str) -> None:
    for response in (
        await api.client.options("/v1/chat/completions", headers={**PREFLIGHT, "origin": origin}),
        await api.client.get("/v1/models", headers={"origin": origin, "authorization": "Bearer key"}),
    ):
        assert response.status_code == 403
        assert not [name for name in response.headers if name.startswith("access-control-")]


async def test_a_page_that_may_only_send_reads_nothing(api: Running) -> None:
    headers = {"origin": "https://send.example", "authorization": "Bearer key"}
    response = await api.client.get("/v1/models", headers=headers)
    assert response.status_code == 200
    assert not [name for name in response.headers if name.startswith("access-control-")]


async def test_what_is_not_a_header_is_not_allowed_back(api: Running) -> None:
    response = await api.client.options("/v1/models", headers={**PREFLIGHT, "access-control-request-headers": "a, b(c)"})
    assert "access-control-allow-headers" not in response.headers


async def test_without_pages_named_nothing_is_said_of_it(tmp_path: Path) -> None:
    async with serving(tmp_path) as api:
        assert not [name for name in (await api.client.get("/v1/models")).headers if name.startswith("access-control-")]


@pytest.mark.parametrize("origins", [("*",), ("https://*.example",)])
def test_a_star_is_refused(origins: tuple[str, ...]) -> None:
    with pytest.raises(ValidationError, match="name each origin"):
        CorsSettings(origins=origins)
