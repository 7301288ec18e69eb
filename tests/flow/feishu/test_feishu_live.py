"""Through a real server: a signed and encrypted call in, an answer out, with its receipt."""

from pathlib import Path

import httpx2
import orjson

from tests.contract.plugins.test_feishu import ADA, CHAT
from tests.doubles.feishu_server import APP, KEY, SECRET, VERIFY, FeishuServer, call_of
from tests.doubles.live_answers import called, first_sent
from tests.doubles.live_server import live_server, offline


async def test_a_message_is_answered(tmp_path: Path, server: FeishuServer) -> None:
    keys = {"appId": APP, "appSecret": SECRET, "encryptKey": KEY, "verificationToken": VERIFY, "apiBase": server.url}
    content = orjson.dumps({"text": "/id"}).decode()
    message = {"message_id": "om_1", "chat_id": CHAT, "chat_type": "p2p", "message_type": "text", "content": content}
    call = call_of("im.message.receive_v1", {"sender": {"sender_id": {"open_id": ADA}, "sender_type": "user"}, "message": message})
    config = {**offline(), "channels": {"feishu": {"enabled": True, "owners": [ADA], **keys}}}
    with live_server(tmp_path / "home", config=config) as live:
        async with httpx2.AsyncClient(base_url=live.url, timeout=30) as client:
            assert (await called(client, "feishu", call)).status_code == 200
            sent = await first_sent(client)
    [answer] = server.accepted.values()
    assert (answer.chat_id, ADA in answer.text) == (CHAT, True)
    assert [part["message_id"] for part in sent["parts"]] == [answer.id]
