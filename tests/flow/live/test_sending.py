"""From a process without a key: what the API is asked to send is delivered, or it says truly that it is not."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.doubles.live_server import LiveServer, live_server, offline
from tests.doubles.telegram_api.faults import Fault
from tests.doubles.telegram_api.server import TelegramServer
from tests.flow.nanobot_process import Nanobot

ASKED = 'send "Build finished successfully." to telegram 123456789'
Start = Callable[..., LiveServer]


@pytest.fixture
async def telegram() -> AsyncGenerator[TelegramServer]:
    async with TelegramServer() as telegram:
        yield telegram


@pytest.fixture
def config(telegram: TelegramServer) -> dict[str, Any]:
    return {"channels": {"telegram": {"enabled": True, "token": telegram.token, "apiBase": telegram.url, "owners": ["123456789"]}}}


@pytest.fixture
async def start(tmp_path: Path) -> AsyncGenerator[Start]:
    """Starts a server without a model on `tmp_path`, after the one before it has ended."""
    with ExitStack() as stack:

        def starts(**config: object) -> LiveServer:
            stack.close()
            return stack.enter_context(live_server(tmp_path / "home", config={**offline(), **config}))

        yield starts
        await asyncio.to_thread(stack.close)


async def ask(server: LiveServer, text: str) -> str:
    async with httpx2.AsyncClient(base_url=server.url, timeout=30) as client:
        response = await client.post("/v1/chat/completions", json={"messages": [{"role": "user", "content": text}]})
    assert response.status_code == 200, response.text
    return response.json()["choices"][0]["message"]["content"]


async def test_what_the_api_is_asked_to_send_arrives_and_it_says_so(start: Start, telegram: TelegramServer, config: dict[str, Any]) -> None:
    server = await asyncio.to_thread(start, **config)
    answer = await ask(server, ASKED)
    assert telegram.texts(123456789) == ["Build finished successfully."]
    (posted,) = telegram.ledger
    assert answer == f"Message to telegram:123456789: sent (message {posted.message_id})"


async def test_with_telegram_off_it_waits_and_is_delivered_once_when_telegram_is_enabled(
    start: Start, telegram: TelegramServer, config: dict[str, Any]
) -> None:
    answer = await ask(await asyncio.to_thread(start), ASKED)
    assert answer.startswith("Message to telegram:123456789: queued, but the telegram channel is not enabled: nothing will be delivered")
    assert telegram.ledger == []
    await asyncio.to_thread(start, **config)
    await telegram.until(lambda: len(telegram.ledger) == 1)
    server = await asyncio.to_thread(start, **config)
    assert await ask(server, 'send "And another." to telegram 123456789')
    assert telegram.texts(123456789) == ["Build finished successfully.", "And another."]


async def test_a_refusal_is_told_as_such(start: Start, telegram: TelegramServer, config: dict[str, Any]) -> None:
    telegram.fail(Fault.blocked(5_000_000_001))
    server = await asyncio.to_thread(start, **config)
    answer = await ask(server, 'send "Hello?" to telegram 5000000001')
    assert answer.startswith("Message to telegram:5000000001: failed: ")


async def test_a_channel_that_cannot_be_opened_stops_nothing_else(start: Start) -> None:
    server = await asyncio.to_thread(start, channels={"telegram": {"enabled": True}})
    async with httpx2.AsyncClient(base_url=server.url, timeout=30) as client:
        ready = (await client.get("/ready")).json()
    assert ready["status"] == "ready"
    assert [(channel["name"], channel["state"]) for channel in ready["channels"]] == [("telegram", "stopped")]
    assert "channels.telegram.token is not set" in ready["channels"][0]["detail"]


async def test_a_command_beside_the_server_reaches_it_at_once(
    start: Start, telegram: TelegramServer, config: dict[str, Any], tmp_path: Path
) -> None:
    await asyncio.to_thread(start, **config)
    nanobot = Nanobot(folder=tmp_path)
    file = tmp_path / "week.txt"
    file.write_text("all is well")
    done = await asyncio.to_thread(nanobot, "send", "telegram:123456789", "Done.", "--file", str(file))
    assert (done.returncode, done.stderr) == (0, "")
    assert "sent (message" in done.stdout
    assert [file.data for posted in telegram.sent_to(123456789) for file in posted.files] == [b"all is well"]
    status = await asyncio.to_thread(nanobot, "channels", "status")
    assert [line.split()[:2] for line in status.stdout.splitlines()[1:3]] == [["telegram", "connected"], ["discord", "off"]]


async def test_a_stranger_is_let_in_by_the_owners_word_and_then_answered(
    start: Start, telegram: TelegramServer, config: dict[str, Any], tmp_path: Path
) -> None:
    await asyncio.to_thread(start, **config)
    nanobot = Nanobot(folder=tmp_path)
    telegram.say(777, "hello?")
    await telegram.until(lambda: bool(telegram.texts(777)))
    (line,) = (await asyncio.to_thread(nanobot, "pairing", "list")).stdout.splitlines()[1:]
    code = next(word for word in line.split() if len(word) == 8 and word in telegram.texts(777)[0])
    approved = await asyncio.to_thread(nanobot, "pairing", "approve", code.lower())
    assert approved.stdout.startswith("telegram 777 (Ada) may write from now on")
    await telegram.until(lambda: len(telegram.texts(777)) == 2)
    assert telegram.texts(777)[1].startswith("You may write to me now.")
    telegram.say(777, "hello again")
    await telegram.until(lambda: len(telegram.texts(777)) == 3)
    assert "No model is configured" in telegram.texts(777)[2]
    assert (await asyncio.to_thread(nanobot, "pairing", "revoke", "telegram", "777")).returncode == 0
    assert (await asyncio.to_thread(nanobot, "pairing", "revoke", "telegram", "777")).returncode == 1


async def test_login_tells_whom_the_token_belongs_to_and_test_sends_without_a_server(
    telegram: TelegramServer, config: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config))
    nanobot = Nanobot(folder=tmp_path)
    login = await asyncio.to_thread(nanobot, "channels", "login", "telegram")
    assert login.stdout.startswith("telegram: @")
    tested = await asyncio.to_thread(nanobot, "channels", "test", "telegram")
    assert (tested.returncode, tested.stdout[:28]) == (0, "telegram:123456789: sent (me")
    assert telegram.texts(123456789) == ["This is a test message. If you can read it, the channel works."]
    telegram.fail(Fault.blocked(5))
    blocked = await asyncio.to_thread(nanobot, "channels", "test", "telegram", "--to", "5")
    assert (blocked.returncode, blocked.stdout) == (1, "")
    assert blocked.stderr.startswith("nanobot: telegram: ")
    doctor = await asyncio.to_thread(nanobot, "doctor", "--model", "offline")
    assert "ok     telegram       @" in doctor.stdout


async def test_another_program_is_heard_by_its_own_secret_and_answered_by_turns(start: Start, tmp_path: Path) -> None:
    hooks = {"ci": {"bearer": "a secret of sixteen"}, "closed": {"url": "http://127.0.0.1:9/"}}
    server = await asyncio.to_thread(start, api={"apiKey": "another secret"}, channels={"webhook": {"enabled": True, "hooks": hooks}})
    async with httpx2.AsyncClient(base_url=server.url, timeout=30, headers={"authorization": "Bearer a secret of sixteen"}) as client:
        first = await client.post("/hooks/ci", json={"text": "The build failed.", "external_id": "17"})
        again = await client.post("/hooks/ci", json={"text": "The build failed.", "external_id": "17"})
        closed = await client.post("/hooks/closed", json={"text": "Hello?"})
        models = await client.get("/v1/models")
    assert (first.status_code, again.json()) == (202, {"id": first.json()["id"], "status": "repeated"})
    assert (closed.status_code, models.status_code) == (404, 401)
    async with asyncio.timeout(20):
        while "webhook:ci" not in (await asyncio.to_thread(Nanobot(folder=tmp_path), "sessions", "list")).stdout:
            pass


async def test_the_start_names_the_channels_and_why_one_is_not_open(
    telegram: TelegramServer, config: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"channels": {**config["channels"], "discord": {"enabled": True}}}))
    with Nanobot(folder=tmp_path).serving("--model", "offline") as server:
        line = next(line for line in server.said.splitlines() if line.startswith("  channels "))
    assert line.startswith("  channels       telegram; discord is not open: channels.discord.token is not set")
