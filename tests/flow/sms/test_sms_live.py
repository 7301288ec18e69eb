"""Through a real server: a signed call in, an answer out, with its receipt."""

from pathlib import Path

import httpx2

from tests.contract.plugins.test_sms import ADA
from tests.doubles.live_answers import called, first_sent
from tests.doubles.live_server import live_server, offline
from tests.doubles.twilio_server import ACCOUNT, NUMBER, TOKEN, URL, TwilioServer, call_of


async def test_a_message_is_answered(tmp_path: Path, twilio: TwilioServer) -> None:
    keys = {"accountSid": ACCOUNT, "authToken": TOKEN, "number": NUMBER, "publicUrl": URL}
    channel = {"enabled": True, "apiBase": twilio.url, "owners": [ADA], **keys}
    call = call_of(MessageSid="SMin", From=ADA, To=NUMBER, Body="/id", NumMedia="0")
    with live_server(tmp_path / "home", config={**offline(), "channels": {"sms": channel}}) as server:
        async with httpx2.AsyncClient(base_url=server.url, timeout=30) as client:
            reply = await called(client, "sms", call)
            assert (reply.status_code, reply.text) == (200, "<Response/>")
            sent = await first_sent(client)
    [answer] = twilio.accepted.values()
    assert (answer.chat_id, ADA in answer.text) == (ADA, True)
    assert [part["message_id"] for part in sent["parts"]] == [answer.id]
