"""Servers on one store are one assistant: each channel is run by one of them, taken over when that one is gone, and called at any."""

import asyncio
import signal
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from tests.contract.plugins.test_line import ADA
from tests.doubles.line_server import NOW, SECRET, TOKEN, LineServer, call_of
from tests.doubles.telegram_api.server import TelegramServer
from tests.flow.live.conftest import Live, Start

CHAT = 123456789
STANDS_BY = ("standby", "held by another server")
TAKEOVER = 40.0
"""Seconds; nine where the machine is idle."""


@pytest.fixture
async def telegram() -> AsyncGenerator[TelegramServer]:
    async with TelegramServer() as telegram:
        yield telegram


@pytest.fixture
async def line() -> AsyncGenerator[LineServer]:
    async with LineServer() as line:
        yield line


@pytest.fixture
def config(telegram: TelegramServer, url: str) -> dict[str, Any]:
    section = {"enabled": True, "token": telegram.token, "apiBase": telegram.url, "owners": [str(CHAT)], "preview": "off"}
    return {"store": {"url": url}, "channels": {"telegram": section}}


async def state(live: Live, channel: str = "telegram") -> tuple[str, str]:
    found = (await live.client.get("/ready")).json()["channels"]
    return next((each["state"], each["detail"]) for each in found if each["name"] == channel)


async def until_state(live: Live, wanted: str, channel: str = "telegram") -> None:
    async with asyncio.timeout(TAKEOVER):
        while (await state(live, channel))[0] != wanted:  # noqa: ASYNC110 - the server tells by being asked
            await asyncio.sleep(0.02)


async def test_a_channel_is_run_by_one_and_its_turn_goes_on_at_another_when_that_is_killed(
    start: Start, telegram: TelegramServer, config: dict[str, Any]
) -> None:
    first = await start("one", **config)
    await until_state(first, "connected")
    second = await start("two", **config)
    assert await state(second) == STANDS_BY
    telegram.say(CHAT, "ECHO to the first")
    await telegram.until(lambda: telegram.texts(CHAT) == ["to the first"])
    assert (await state(first))[0] == "connected", "nothing else asks for its messages"

    first.model.configure(latency_ms=60_000)
    telegram.say(CHAT, "ECHO in the middle")
    async with asyncio.timeout(30):
        while first.model.stats.inflight == 0:  # noqa: ASYNC110 - the model tells nothing
            await asyncio.sleep(0.01)
    first.model.configure(latency_ms=0)
    first.server.process.kill()
    telegram.say(CHAT, "ECHO while nothing polls")
    await telegram.until(lambda: len(telegram.texts(CHAT)) == 3, within=TAKEOVER)
    assert telegram.texts(CHAT)[1:] == ["in the middle", "while nothing polls"]
    assert (await state(second))[0] == "connected"
    third = await start("three", **config)
    assert await state(third) == STANDS_BY


async def test_one_that_stands_still_loses_its_channel_and_stands_by_when_it_goes_on(
    start: Start, telegram: TelegramServer, config: dict[str, Any], url: str
) -> None:
    if url.startswith("sqlite"):
        pytest.skip("one that is stopped in the middle of a write keeps SQLite's lock until it goes on: see test_stopped_peer.py")
    first, second = await start("one", **config), await start("two", **config)
    await until_state(first, "connected")
    first.server.process.send_signal(signal.SIGSTOP)
    telegram.say(CHAT, "ECHO still there?")
    await telegram.until(lambda: telegram.texts(CHAT) == ["still there?"], within=TAKEOVER)
    assert (await state(second))[0] == "connected"
    first.server.process.send_signal(signal.SIGCONT)
    await until_state(first, "standby")
    await until_state(second, "connected")
    telegram.say(CHAT, "ECHO again")
    await telegram.until(lambda: telegram.texts(CHAT) == ["still there?", "again"])


async def test_a_call_is_taken_by_any_and_answered_by_the_holder_which_another_is_when_it_ends(
    start: Start, telegram: TelegramServer, line: LineServer, config: dict[str, Any]
) -> None:
    section = {"enabled": True, "channelAccessToken": TOKEN, "channelSecret": SECRET, "allowFrom": [ADA], "apiBase": line.url}
    config["channels"]["line"] = section
    first, second = await start("one", **config), await start("two", **config)
    assert await state(second, "line") == STANDS_BY
    await say_on_line(second, "ECHO by the second")
    await line.until(lambda: said(line) == ["by the second"])

    first.server.process.terminate()
    await until_state(second, "connected")
    await until_state(second, "connected", "line")
    logs = [live.server.log.read_text() for live in (first, second)]
    assert ["channel=line state=sent" in log for log in logs] == [True, False]
    assert ["inbound.turn" in log for log in logs] == [False, True]
    telegram.say(CHAT, "ECHO by the other")
    await telegram.until(lambda: telegram.texts(CHAT) == ["by the other"])
    await say_on_line(second, "ECHO alone")
    await line.until(lambda: said(line) == ["by the second", "alone"])


def said(line: LineServer) -> list[str]:
    return [body["messages"][0]["text"] for _, body in line.posted]


async def say_on_line(live: Live, text: str) -> None:
    about = {"webhookEventId": text, "deliveryContext": {"isRedelivery": False}, "mode": "active", "timestamp": NOW}
    source = {"type": "user", "userId": ADA}
    message = {"type": "text", "id": text, "text": text, "quoteToken": "q"}
    call = call_of({**about, "type": "message", "source": source, "message": message, "replyToken": text})
    answer = await live.client.post("/channels/line", content=call.body, headers=dict(call.headers))
    assert answer.status_code == 200


async def test_a_process_without_channels_beside_them_takes_none(start: Start, telegram: TelegramServer, config: dict[str, Any]) -> None:
    beside = await start("one", store=config["store"])
    first = await start("two", **config)
    await until_state(first, "connected")
    assert (await beside.client.get("/ready")).json()["channels"] == []
    telegram.say(CHAT, "ECHO hello")
    await telegram.until(lambda: telegram.texts(CHAT) == ["hello"])
