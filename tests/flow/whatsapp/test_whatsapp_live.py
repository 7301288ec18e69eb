"""Through a real server: a signed call in, an answer out, with its receipt."""

from pathlib import Path
from typing import Any

import httpx2

from assistant.contracts.channels import PlatformCall
from tests.contract.plugins.test_whatsapp import ADA
from tests.doubles.live_answers import called, first_sent
from tests.doubles.live_server import live_server, offline
from tests.doubles.whatsapp_server import NOW, PHONE, SECRET, TOKEN, WhatsAppServer, call_of


async def test_a_message_is_answered(tmp_path: Path, whatsapp: WhatsAppServer) -> None:
    secrets = {"accessToken": TOKEN, "appSecret": SECRET, "verifyToken": "v"}
    channel = {"enabled": True, "phoneNumberId": PHONE, "apiBase": whatsapp.url, "owners": [ADA], **secrets}
    message: dict[str, Any] = {"from": ADA, "id": "wamid.in", "timestamp": str(NOW), "type": "text", "text": {"body": "/id"}}
    with live_server(tmp_path / "home", config={**offline(), "channels": {"whatsapp": channel}}) as server:
        async with httpx2.AsyncClient(base_url=server.url, timeout=30) as client:
            for _ in range(2):  # Meta's calls may come twice
                assert (await called(client, "whatsapp", call_of(message))).status_code == 200
            forged = PlatformCall(method="POST", query={}, headers={}, body=b"{}", url="")
            assert (await called(client, "whatsapp", forged)).status_code == 401
            query = {"hub.mode": "subscribe", "hub.verify_token": "v", "hub.challenge": "77"}
            assert (await client.get("/channels/whatsapp", params=query)).text == "77"
            sent = await first_sent(client)
    [answer] = whatsapp.accepted.values()
    assert (answer.chat_id, ADA in answer.text) == (ADA, True)
    assert [part["message_id"] for part in sent["parts"]] == [answer.id]
