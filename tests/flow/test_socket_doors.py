"""Who may open a socket, and from where."""

import asyncio
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus

from assistant.api.settings import ApiSettings

from .api_rig import serving
from .socket_client import talking, words
from .socket_rig import closed

KEY = "a-key-of-the-test"
WITH_KEY = ApiSettings.model_validate({"apiKey": KEY})


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/chat", {"Authorization": f"Bearer {KEY}"}),
        (f"/chat?api_key={KEY}", {}),
        (f"/chat?x=1&token={KEY}", {}),
        ("//chat/", {"X-API-Key": KEY}),
        ("/chat/", {"Api-Key": KEY}),
        ("/chat?api_key=wrong", {"x-api-key": KEY}),
        ("/chat?api_key=wrong", {"Authorization": f"Bearer {KEY}"}),
    ],
)
async def test_the_key_opens_the_socket_by_header_or_address(tmp_path: Path, path: str, headers: dict[str, str]) -> None:
    async with serving(tmp_path, WITH_KEY) as api, talking(api.port, path=path, additional_headers=headers) as talk:
        assert words(await talk.ask("hi")) == "Hello there"
        assert talk.socket.response is not None
        assert talk.socket.response.headers["x-request-id"].startswith("req_")


@pytest.mark.parametrize(
    ("path", "headers", "reason"),
    [
        ("/chat", {}, "Missing authentication"),
        ("/chat?api_key=", {}, "Missing authentication"),
        ("/chat?api_key=wrong", {}, "Invalid authentication"),
        ("/chat?token=%FF%00", {}, "Invalid authentication"),
        ("/chat", {"Authorization": "Bearer wrong"}, "Invalid authentication"),
        ("/chat", {"Authorization": KEY}, "Invalid authentication"),
        ("/nowhere", {}, "Missing authentication"),
    ],
)
async def test_without_the_key_the_socket_is_closed_with_1008_and_why(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, path: str, headers: dict[str, str], reason: str
) -> None:
    async with serving(tmp_path, WITH_KEY) as api, talking(api.port, path=path, additional_headers=headers) as talk:
        assert await closed(talk.socket) == (1008, reason)
    assert "wrong" not in caplog.text
    assert "api_key" not in caplog.text


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost:1"])
async def test_a_foreign_page_gets_403_before_the_socket_is_open(tmp_path: Path, origin: str) -> None:
    async with serving(tmp_path) as api:
        with pytest.raises(InvalidStatus) as refused:
            async with talking(api.port, origin=origin):
                pass
        assert refused.value.response.status_code == 403
        assert b'"forbidden_origin"' in (refused.value.response.body or b"")
        assert refused.value.response.headers["x-request-id"].startswith("req_")


async def test_a_page_of_an_allowed_origin_and_one_of_our_own_may_in(tmp_path: Path) -> None:
    async with serving(tmp_path, ApiSettings.model_validate({"allowedOrigins": ["https://chat.example.org"]})) as api:
        for origin in ("https://chat.example.org", f"http://127.0.0.1:{api.port}"):
            async with talking(api.port, origin=origin) as talk:
                assert words(await talk.ask("hi")) == "Hello there"


async def test_a_name_that_is_made_to_point_here_gets_421(tmp_path: Path) -> None:
    async with serving(tmp_path) as api:
        request = (
            b"GET /chat HTTP/1.1\r\nHost: evil.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        assert (await api.raw(request)).startswith(b"HTTP/1.1 421 ")


@pytest.mark.parametrize("host", ["nanobot:8900", "evil.example", "172.17.0.2", "[fd00::1]:8900"])
async def test_another_name_opens_a_socket_with_the_key_alone_and_never_a_page(tmp_path: Path, host: str) -> None:
    upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    async with serving(tmp_path, WITH_KEY) as api:
        for path, more, status in (
            (f"/chat?api_key={KEY}", "", b"101"),
            ("/chat", f"Authorization: Bearer {KEY}\r\n", b"101"),
            ("/chat", "", b"421"),
            ("/chat?api_key=wrong", "", b"421"),
            (f"/chat?api_key={KEY}", f"Origin: http://{host}\r\n", b"421"),
        ):
            reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
            writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n{upgrade}{more}\r\n".encode())
            async with asyncio.timeout(30):
                assert (await reader.readline()).split()[1] == status, (path, more)
            writer.close()


async def test_a_socket_to_elsewhere_is_404(tmp_path: Path) -> None:
    async with serving(tmp_path) as api:
        for path in ("/", "/v1/chat/completions", "/chat/x", "/predicts"):
            with pytest.raises(InvalidStatus, match="404"):
                async with talking(api.port, path=path):
                    pass


async def test_chat_without_a_socket_is_404(tmp_path: Path) -> None:
    async with serving(tmp_path) as api:
        assert (await api.client.get("/chat")).status_code == 404
