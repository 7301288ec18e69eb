"""Calls to /channels/<name> that no platform made: refused, whatever they hold, and never with an error of ours."""

import asyncio
import base64
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx2
import orjson
import pytest

from tests.doubles.live_server import live_server, offline

_NOWHERE = "http://127.0.0.1:1"
_ACCOUNT = {"client_email": "nano@example.org", "token_uri": f"{_NOWHERE}/token", "private_key": "k" * 40}
_CHANNELS = {
    "dingtalk": {"enabled": True, "clientId": "app", "clientSecret": "k" * 40, "apiBase": _NOWHERE, "oapiBase": _NOWHERE},
    "feishu": {"enabled": True, "appId": "cli_a", "appSecret": "l" * 32, "encryptKey": "m" * 32, "apiBase": _NOWHERE},
    "googlechat": {"enabled": True, "serviceAccount": orjson.dumps(_ACCOUNT).decode(), "audience": "1", "keysUrl": _NOWHERE},
    "line": {"enabled": True, "channelAccessToken": "a" * 40, "channelSecret": "b" * 40, "apiBase": _NOWHERE, "dataBase": _NOWHERE},
    "mattermost": {"enabled": True, "serverUrl": _NOWHERE, "token": "c" * 26},
    "msteams": {"enabled": True, "appId": "app", "appPassword": "d" * 40, "loginUrl": _NOWHERE, "openidUrl": _NOWHERE},
    "slack": {"enabled": True, "mode": "events", "botToken": "xoxb-" + "e" * 20, "signingSecret": "f" * 32, "apiBase": _NOWHERE},
    "sms": {"enabled": True, "accountSid": "AC1", "authToken": "g" * 32, "number": "+15550783881", "apiBase": _NOWHERE},
    "whatsapp": {"enabled": True, "phoneNumberId": "1", "accessToken": "h" * 40, "appSecret": "i" * 32, "verifyToken": "j" * 20}
    | {"apiBase": _NOWHERE},
}


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    with live_server(tmp_path_factory.mktemp("calls") / "home", config={**offline(), "channels": _CHANNELS}) as server:
        parts = urlsplit(server.url)
        yield parts.hostname or "", parts.port or 0


def _nested(depth: int) -> str:
    return base64.urlsafe_b64encode(b"[" * depth).decode().rstrip("=")


_BODIES = {
    "empty": b"",
    "text": b"hello",
    "deep": b"[" * 200_000,
    "deep object": b'{"a":' * 100_000,
    "twice": b'{"type":"message","type":7,"context":{"sign":"x"},"context":{"sign":7}}',
    "no UTF-8": b'{"a":"\xff\xfe"}',
    "surrogate": b'{"context":{"sign":"\\ud800","value":"\\udfff"},"channelId":"msteams"}',
    "NaN": b'{"a":NaN,"b":1e999}',
    "form": b"payload=%7B%22type%22%3A%22x%22%7D&From=%2B1&MessageSid=SM1",
    "fields": b"a&" * 5000,
    "an activity": b'{"type":"message","channelId":"msteams","serviceUrl":null,"from":{"id":"x"},"conversation":{"id":"a:1"}}',
}
_HEADERS = {
    "none": b"",
    "signatures": b"X-Slack-Request-Timestamp: 99999999999999999\r\nX-Slack-Signature: v0=\xff\r\nX-Line-Signature: \xff=\r\n"
    b"X-Hub-Signature-256: sha256=\r\nX-Twilio-Signature: \xc3\x28\r\nAuthorization: Bearer \xff.\xff.\xff\r\n",
    "token": b"Authorization: Bearer a.b.c\r\nContent-Type: application/json; charset=utf-7\r\n",
    "deep token": f"Authorization: Bearer {_nested(20_000)}.e30.AA\r\n".encode(),
}


async def _status(address: tuple[str, int], method: str, target: bytes, headers: bytes, body: bytes, host: str = "") -> int:
    return (await _answer(address, method, target, headers, body, host))[0]


async def _answer(address: tuple[str, int], method: str, target: bytes, headers: bytes, body: bytes, host: str = "") -> tuple[int, str]:
    """(status, media type)."""
    reader, writer = await asyncio.open_connection(*address)
    try:
        named = (host or f"{address[0]}:{address[1]}").encode()
        head = f"{method} ".encode() + target + b" HTTP/1.1\r\nHost: " + named + b"\r\nConnection: close\r\n" + headers
        writer.write(head + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
        await writer.drain()
        head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)).decode("latin-1").lower()
        types = [line.partition(":")[2].partition(";")[0].strip() for line in head.splitlines() if line.startswith("content-type:")]
        return int(head.split()[1]), "".join(types)
    finally:
        writer.close()


@pytest.mark.parametrize("name", sorted(_CHANNELS))
async def test_what_no_platform_signed_is_refused(address: tuple[str, int], name: str) -> None:
    path = b"/channels/" + name.encode()
    for query in (b"", b"?hub.mode=subscribe&hub.verify_token=&hub.challenge=7", b"?a=\xff", b"?a=%ff%00&a=[&[=]"):
        for method in ("POST", "GET"):
            status = await _status(address, method, path + query, b"", b"")
            assert 400 <= status < 500, (query, method, status)
    for headers in _HEADERS:
        for what, body in _BODIES.items():
            status = await _status(address, "POST", path, _HEADERS[headers], body)
            assert 400 <= status < 500, (headers, what, status)


@pytest.mark.parametrize(
    "host", ["[", "[::1", "127.0.0.1:x", "evil.example", "a@127.0.0.1", "127.0.0.1:99999", "127.0.0.1/..", "127.0.0.1."]
)
async def test_a_host_header_breaks_nothing(address: tuple[str, int], host: str) -> None:
    for name in _CHANNELS:
        assert 400 <= await _status(address, "POST", b"/channels/" + name.encode(), b"", b"a=b", host) < 500


async def test_each_answer_is_described(address: tuple[str, int]) -> None:
    """Also those of the channels themselves, which answer in words."""
    async with httpx2.AsyncClient(base_url=f"http://{address[0]}:{address[1]}", timeout=30) as client:
        path = (await client.get("/openapi.json")).json()["paths"]["/channels/{name}"]
    seen = set[int]()
    for name in (*_CHANNELS, "pigeon"):
        for method in ("GET", "POST"):
            for body in _BODIES.values():
                status, media_type = await _answer(address, method, b"/channels/" + name.encode(), b"", body)
                assert media_type in path[method.lower()]["responses"][str(status)]["content"], (name, method, status, media_type)
                seen.add(status)
    assert {400, 401, 404, 405} <= seen


async def test_a_large_call_is_refused(address: tuple[str, int]) -> None:
    assert await _status(address, "POST", b"/channels/sms", b"", b"a" * 1_100_000) == 413
