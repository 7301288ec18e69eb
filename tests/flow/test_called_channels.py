"""What channels whose platforms call us have in common: calls side by side, broken JSON, and the tokens that they send with."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from assistant.contracts.channels import ChannelFailed, PlatformCall, SendFailed, SendLater
from assistant.testing.platform import Said, running, send
from channels.kit import renewed
from tests.contract.plugins.test_dingtalk import DingTalkPlatform
from tests.contract.plugins.test_feishu import FeishuPlatform
from tests.contract.plugins.test_googlechat import GoogleChatPlatform
from tests.contract.plugins.test_line import LinePlatform
from tests.contract.plugins.test_msteams import TeamsPlatform
from tests.doubles import dingtalk_server, feishu_server, line_server
from tests.doubles.dingtalk_server import DingTalkServer
from tests.doubles.feishu_server import FeishuServer
from tests.doubles.googlechat_server import GoogleChatServer
from tests.doubles.line_server import LineServer
from tests.doubles.msteams_server import TeamsServer
from tests.doubles.platform_caller import PlatformCaller

Platform = Any
KINDS: dict[str, tuple[type[Any], Callable[..., Platform]]] = {
    "msteams": (TeamsServer, TeamsPlatform),
    "googlechat": (GoogleChatServer, GoogleChatPlatform),
    "feishu": (FeishuServer, FeishuPlatform),
    "dingtalk": (DingTalkServer, DingTalkPlatform),
    "line": (LineServer, LinePlatform),
}
TOKENS = {
    "msteams": "/oauth2/v2.0/token",
    "googlechat": "/token",
    "feishu": "/tenant_access_token/internal",
    "dingtalk": "/oauth2/accessToken",
}


@asynccontextmanager
async def opened(name: str, folder: Path) -> AsyncGenerator[Platform]:
    server_kind, platform_kind = KINDS[name]
    async with server_kind() as server, platform_kind(server, folder) as platform:
        if name == "msteams":
            await platform.known()
        yield platform


@pytest.mark.parametrize("name", KINDS)
async def test_a_message_that_waits_holds_up_no_other_chat(name: str, tmp_path: Path) -> None:
    async with opened(name, tmp_path) as platform, running(platform.channel) as link:
        link.gate.clear()
        platform.write(Said(text="w1"))
        assert (await link.offered.get()).text == "w1"
        first, platform.caller = platform.caller, PlatformCaller(lambda: platform.adapter)
        platform.write(Said(text="w2", group=True, mention=True))
        async with asyncio.timeout(30):
            assert (await link.offered.get()).text.endswith("w2")
        assert not first.idle()
        link.gate.set()
        assert {(await link.next()).text.split()[-1] for _ in range(2)} == {"w1", "w2"}
        await first.close()


def wrapped(platform: Platform, name: str, body: bytes) -> PlatformCall:
    """A call with this body that is the platform's own."""
    calls: dict[str, Callable[[], PlatformCall]] = {
        "msteams": lambda: platform.call_of(body),
        "googlechat": lambda: platform.server.call(body),
        "feishu": lambda: feishu_server.signed(feishu_server.encrypted(body)),
        "dingtalk": lambda: dingtalk_server.call_of(body),
        "line": lambda: line_server.signed(body),
    }
    return calls[name]()


BODIES = {
    "empty": b"",
    "cut": b'{"a": ',
    "nested": b"[" * 200_000,
    "nested objects": b'{"a":' * 100_000,
    "no UTF-8": b'{"a": "\xff\xfe"}',
    "half a pair": b'{"events": [{"message": {"text": "\\ud800"}}], "text": "\\udfff", "channelId": "\\ud800"}',
    "no numbers": b'{"a": NaN, "b": -Infinity}',
    "huge numbers": b'{"events": 1e999, "timestamp": 1' + b"0" * 6000 + b"}",
    "keys twice": b'{"type": "message", "type": 7, "events": [], "events": {}}',
    "nothing": b"null",
    "a number": b"7",
    "words": b'"words"',
}


@pytest.mark.parametrize("body", BODIES.values(), ids=list(BODIES))
@pytest.mark.parametrize("name", KINDS)
async def test_a_signed_call_that_can_not_be_read_is_answered(name: str, body: bytes, tmp_path: Path) -> None:
    async with opened(name, tmp_path) as platform, running(platform.channel) as link:
        reply = await platform.adapter.called(wrapped(platform, name, body))
        assert reply.status in (200, 400, 401)
        assert link.offered.empty()


@pytest.mark.parametrize("name", TOKENS)
async def test_without_a_token_nothing_was_sent_and_its_server_is_asked_once(name: str, tmp_path: Path) -> None:
    async with opened(name, tmp_path) as platform:
        platform.server.silent = TOKENS[name]
        sends = [asyncio.create_task(send(platform, f"w{number}", key=f"k{number}")) for number in range(20)]
        found = await asyncio.gather(*sends, return_exceptions=True)
        assert [(type(each), getattr(each, "counts", None)) for each in found] == [(SendLater, False)] * 20
        with pytest.raises(ChannelFailed) as failed:
            await platform.adapter.identity()
        assert not failed.value.fatal
        assert len([path for _, path in platform.server.requests if path.endswith(TOKENS[name])]) == 1
        assert platform.texts() == []


@pytest.mark.parametrize("name", TOKENS)
async def test_a_token_server_that_is_back_is_asked_again(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renewed, "_FAILED_SECONDS", 0.0)
    async with opened(name, tmp_path) as platform:
        platform.server.silent = TOKENS[name]
        with pytest.raises(SendLater):
            await send(platform, "w1")
        platform.server.silent = ""
        await send(platform, "w1")
        assert platform.texts() == ["w1"]


ERRORS = {
    "a list": b"[]",
    "no kind": b'{"error": {"code": [], "message": {}}, "code": {}, "errcode": [], "message": ["x"], "msg": 7, "details": "x"}',
    "codes that are none": b'{"code": true, "errcode": false, "error": {"status": true}}',
    "a page": b"<html>a proxy's page \xff",
    "nested": b"[" * 100_000,
    "deep": b'{"message": %b, "code": %b, "details": %b, "error": {"code": %b, "status": %b}}' % (((b"[" * 1000 + b"]" * 1000),) * 5),
    "deep objects": b'{"error":' * 1000 + b'"x"' + b"}" * 1000,
}
ANSWERS = {
    **ERRORS,
    "an object": b"{}",
    "nothing": b"null",
    "ids of no kind": b'{"id": {}, "name": 7, "code": 0, "data": {"message_id": ["x"]}, "errcode": 0, "processQueryKey": {}, "sentMessages": 7}',
    "half a pair": b'{"id": "\\ud800", "name": "x/\\ud800", "code": 0, "data": {"message_id": "\\ud800"}, "processQueryKey": "\\ud800"}',
    "tokens of no kind": b'{"access_token": 7, "expires_in": "x", "tenant_access_token": {}, "expire": [], "accessToken": null, "code": 0}',
    "tokens of two lines": b'{"access_token": "a\\r\\nX: y", "tenant_access_token": "a\\r\\nX: y", "accessToken": "a\\r\\nX: y", "code": 0}',
}


@pytest.mark.parametrize("status", [200, 302, 400, 401, 500])
@pytest.mark.parametrize("name", KINDS)
async def test_whatever_is_answered_a_send_ends_with_a_receipt_or_a_reason(
    name: str, status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(renewed, "_FAILED_SECONDS", 0.0)
    async with opened(name, tmp_path) as platform:
        for number, body in enumerate((ANSWERS if status == 200 else ERRORS).values()):
            await platform.reopen()
            platform.server.odd = status, body
            with contextlib.suppress(ChannelFailed):
                assert isinstance(await platform.adapter.identity(), str)
            platform.server.odd = None
            with contextlib.suppress(SendFailed, ChannelFailed):
                await platform.adapter.identity()  # a token, so that what follows is about the calls with it
            platform.server.odd = status, body
            with contextlib.suppress(SendFailed):
                ids = [receipt.message_id for receipt in await send(platform, key=f"k{number}")]
                assert all(each is None or (each and each.isprintable()) for each in ids)
            with contextlib.suppress(SendFailed):
                await platform.adapter.conversation.typing(platform.address)
