"""Through a real server: a signed call in, an answer out, with its receipt."""

from pathlib import Path

import httpx2

from tests.contract.plugins.test_line import ADA
from tests.doubles.line_server import NOW, SECRET, TOKEN, LineServer, call_of
from tests.doubles.live_answers import called, first_sent
from tests.doubles.live_server import live_server, offline


async def test_a_message_is_answered(tmp_path: Path, server: LineServer) -> None:
    keys = {"channelAccessToken": TOKEN, "channelSecret": SECRET, "apiBase": server.url, "dataBase": server.url}
    server.tokens["r1"] = ADA
    source = {"type": "user", "userId": ADA}
    message = {"id": "5", "type": "text", "text": "/id", "quoteToken": "q"}
    about = {"type": "message", "mode": "active", "webhookEventId": "e1", "timestamp": NOW, "replyToken": "r1"}
    call = call_of({**about, "source": source, "message": message})
    config = {**offline(), "channels": {"line": {"enabled": True, "owners": [ADA], **keys}}}
    with live_server(tmp_path / "home", config=config) as live:
        async with httpx2.AsyncClient(base_url=live.url, timeout=30) as client:
            assert (await called(client, "line", call)).status_code == 200
            sent = await first_sent(client)
    [answer] = server.accepted.values()
    assert (answer.chat_id, ADA in answer.text) == (ADA, True)
    assert [part["message_id"] for part in sent["parts"]] == [answer.id]
    assert [how for how, _ in server.posted] == ["reply"]
