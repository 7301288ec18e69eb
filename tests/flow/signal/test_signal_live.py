"""Through a real server: a message in, an answer out, with its receipt."""

import asyncio
from pathlib import Path

import httpx2

from tests.contract.plugins.test_signal import ADA
from tests.doubles.live_answers import first_sent
from tests.doubles.live_server import live_server, offline
from tests.doubles.signal_server import ACCOUNT, NOW, SignalServer


async def test_a_message_is_answered(tmp_path: Path, cli: SignalServer) -> None:
    channel = {"enabled": True, "account": ACCOUNT, "daemon": cli.tcp, "owners": [ADA]}
    cli.tell({"sourceUuid": ADA, "timestamp": NOW, "dataMessage": {"timestamp": NOW, "message": "/id"}})
    server = live_server(tmp_path / "home", config={**offline(), "channels": {"signal": channel}})
    running = await asyncio.to_thread(server.__enter__)
    try:
        async with httpx2.AsyncClient(base_url=running.url, timeout=30) as client:
            sent = await first_sent(client)
    finally:
        await asyncio.to_thread(server.__exit__, None, None, None)
    [answer] = cli.accepted.values()
    assert (answer.chat_id, ADA in answer.text) == (ADA, True)
    assert [part["message_id"] for part in sent["parts"]] == [answer.id]
