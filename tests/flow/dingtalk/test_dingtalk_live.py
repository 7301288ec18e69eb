"""Through a real server: a signed call in, an answer out, with its delivery."""

from pathlib import Path

import httpx2

from assistant.testing.platform import Said
from tests.contract.plugins.test_dingtalk import ADA, DingTalkPlatform
from tests.doubles.dingtalk_server import CLIENT, SECRET, DingTalkServer, call_of
from tests.doubles.live_answers import called, first_sent
from tests.doubles.live_server import live_server, offline


async def test_a_message_is_answered(tmp_path: Path, platform: DingTalkPlatform, server: DingTalkServer) -> None:
    keys = {"clientId": CLIENT, "clientSecret": SECRET, "apiBase": server.url, "oapiBase": server.url, "sessionReplies": False}
    call = call_of(platform.body(Said(text="/id"), "msg1"))
    config = {**offline(), "channels": {"dingtalk": {"enabled": True, "owners": [ADA], **keys}}}
    with live_server(tmp_path / "home", config=config) as live:
        async with httpx2.AsyncClient(base_url=live.url, timeout=30) as client:
            assert (await called(client, "dingtalk", call)).status_code == 200
            sent = await first_sent(client)
    [answer] = server.accepted.values()
    assert (answer.chat_id, ADA in answer.text) == (ADA, True)
    assert [part["message_id"] for part in sent["parts"]] == [answer.id]
