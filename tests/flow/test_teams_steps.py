"""The five steps of docs/channels/msteams.md, from nothing to an answered message: the program, the server and the Bot Framework's calls."""

import asyncio
import json
import re
from collections.abc import AsyncGenerator
from pathlib import Path

import httpx2
import orjson
import pytest

from assistant.testing.platform import Said
from tests.contract.plugins.test_msteams import ANNA, CHAT, GROUP, THREAD, TeamsPlatform
from tests.doubles.live_answers import called, first_sent
from tests.doubles.msteams_server import APP, SECRET, TeamsServer

from .nanobot_process import Nanobot
from .terminal import Terminal

TENANT = "99999999-8888-7777-6666-555555555555"


@pytest.fixture
async def server() -> AsyncGenerator[TeamsServer]:
    async with TeamsServer() as server:
        server.tenant = TENANT
        yield server


@pytest.fixture
async def platform(server: TeamsServer, tmp_path: Path) -> AsyncGenerator[TeamsPlatform]:
    async with TeamsPlatform(server, tmp_path / "files") as platform:
        yield platform


@pytest.fixture
def nanobot(tmp_path: Path, server: TeamsServer) -> Nanobot:
    """Before the first step. Where Microsoft is, is told as for a national cloud."""
    nanobot = Nanobot(folder=tmp_path)
    nanobot.home.mkdir()
    cloud = {"loginUrl": server.url, "openidUrl": f"{server.url}/openid"}
    config = {"agents": {"defaults": {"provider": "offline"}}, "channels": {"msteams": cloud}}
    (nanobot.home / "config.json").write_text(json.dumps(config))
    return nanobot


def added(nanobot: Nanobot, owner: str) -> str:
    """What `nanobot channels add msteams` says to a person who types what it asks for."""
    with Terminal(nanobot, "channels", "add", "msteams") as terminal:
        for key, words in (("appId: ", APP), ("appPassword: ", SECRET), ("tenantId (optional): ", TENANT), ("owner: ", owner)):
            assert SECRET not in terminal.read_until(key)
            terminal.type(f"{words}\n")
        assert terminal.read_to_the_end() == 0, terminal.text
        return terminal.text


async def said(client: httpx2.AsyncClient, platform: TeamsPlatform, said: Said) -> int:
    """The status of the answer to the call that this makes."""
    return (await called(client, "msteams", platform.call_of(orjson.dumps(platform.activity(said))))).status_code


async def test_from_nothing_to_an_answered_message(nanobot: Nanobot, server: TeamsServer, platform: TeamsPlatform) -> None:
    told = await asyncio.to_thread(added, nanobot, "")
    assert f"Connected as the bot {APP}" in told
    assert "https://YOUR-HOST/channels/msteams" in told
    section = json.loads((nanobot.home / "config.json").read_text())["channels"]["msteams"]
    assert (section["enabled"], section["appPassword"], section["tenantId"]) == (True, "${MSTEAMS_APP_PASSWORD}", TENANT)
    with nanobot.serving() as live:
        async with httpx2.AsyncClient(base_url=live.url, timeout=30) as client:
            assert await said(client, platform, Said(text="hello")) == 200
            await server.until(lambda: len(server.accepted) == 1)
            [code] = set(re.findall(r"pairing approve ([A-Z0-9]{8})", platform.texts()[0]))
            done = await asyncio.to_thread(nanobot, "pairing", "approve", code)
            assert f"msteams {ANNA} (Anna) may write from now on" in done.stdout
            await server.until(lambda: len(server.accepted) == 2)
            assert await said(client, platform, Said(text="/id")) == 200
            await server.until(lambda: len(server.accepted) == 3)
            assert (platform.seen()[2].chat_id, ANNA in platform.seen()[2].text) == (CHAT, True)
            assert await said(client, platform, Said(text="hello", group=True, mention=True, thread_id=THREAD)) == 200
            await server.until(lambda: len(server.accepted) == 4)
            assert (platform.seen()[3].chat_id, platform.seen()[3].thread_id) == (GROUP, THREAD)


async def test_an_owner_is_told_that_their_id_is_no_chat(nanobot: Nanobot, server: TeamsServer, platform: TeamsPlatform) -> None:
    """A chat of Teams is known when someone has written there."""
    told = await asyncio.to_thread(added, nanobot, ANNA)
    assert "No test message: on Microsoft Teams a person's id is no chat" in told
    assert "nanobot serve" in told
    with nanobot.serving() as live:
        async with httpx2.AsyncClient(base_url=live.url, timeout=30) as client:
            assert await said(client, platform, Said(text="/id")) == 200
            sent = await first_sent(client)
    [answer] = platform.seen()
    assert (answer.chat_id, ANNA in answer.text) == (CHAT, True)
    assert [part["message_id"] for part in sent["parts"]] == [answer.id]
