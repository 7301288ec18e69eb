"""Through a real server: a message in, an answer out, with its receipt. And the five steps of docs/channels/matrix.md, on a real Synapse."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from tests.doubles.live_answers import first_sent
from tests.doubles.live_server import live_server, offline
from tests.doubles.matrix_server import ANNA, TOKEN, MatrixServer
from tests.doubles.synapse import MISSING, PYTHON, Account, synapse


async def test_a_message_is_answered(tmp_path: Path) -> None:
    async with MatrixServer() as home:
        home.room("!dm:test", ANNA)
        channel = {"enabled": True, "homeserver": home.url, "accessToken": TOKEN, "owners": [ANNA], "encryption": False}
        server = live_server(tmp_path / "home", config={**offline(), "channels": {"matrix": channel}})
        running = await asyncio.to_thread(server.__enter__)
        try:
            await asyncio.wait_for(home.started.wait(), 60)
            home.say("!dm:test", {"msgtype": "m.text", "body": "/id"})
            async with httpx2.AsyncClient(base_url=running.url, timeout=30) as client:
                sent = await first_sent(client)
        finally:
            await asyncio.to_thread(server.__exit__, None, None, None)
        [answer] = home.accepted.values()
        assert (answer.chat_id, ANNA in answer.text) == ("!dm:test", True)
        assert [part["message_id"] for part in sent["parts"]] == [answer.id]


def nanobot(home: Path, *words: str) -> str:
    env = {"NANOBOT_HOME": str(home), "HOME": str(home), "PATH": os.environ["PATH"], "PYTHONPATH": str(Path(__file__).parents[3])}
    command = [sys.executable, "-m", "assistant.cli", *words]
    done = subprocess.run(command, cwd=home, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


async def answers(anna: Account, room: str, most: int) -> list[str]:
    async with asyncio.timeout(30):
        while True:
            page = await anna.call("GET", f"/rooms/{room}/messages?dir=b&limit=20")
            found = [each["content"] for each in page["chunk"] if each["sender"] == "@nanobot:test" and each["type"] == "m.room.message"]
            if len(found) >= most:
                return [each["body"] for each in found]
            await asyncio.sleep(0.1)


@pytest.mark.skipif(not PYTHON.exists(), reason=MISSING)
async def test_the_five_steps(tmp_path: Path) -> None:
    folder = tmp_path / "home"
    folder.mkdir()
    (tmp_path / "synapse").mkdir()
    with synapse(tmp_path / "synapse") as home:
        bot, anna = await home.account("nanobot"), await home.account("anna")
        file = folder / "config.json"
        file.write_text(json.dumps(offline()))
        given = [f"homeserver={home.url}", f"userId={bot.user_id}", f"password={bot.password}"]
        asked = [word for each in given for word in ("--set", each)]
        said = await asyncio.to_thread(nanobot, folder, "channels", "add", "matrix", *asked, "--owner", anna.user_id, "-c", str(file))
        assert bot.user_id in said
        assert bot.password not in file.read_text()
        invited = await anna.call("GET", "/sync")  # the test message made the direct chat
        [tested] = invited["rooms"]["invite"]
        await anna.call("POST", f"/join/{tested}", {})
        server = live_server(folder, config=json.loads(file.read_text()))
        await asyncio.to_thread(server.__enter__)
        try:
            room = await anna.room(bot.user_id, direct=True)
            await anna.say(room, {"msgtype": "m.text", "body": "/id"})
            assert anna.user_id in (await answers(anna, room, 1))[0]
            assert "connected" in await asyncio.to_thread(nanobot, folder, "channels", "status", "-c", str(file))
            await anna.say(tested, {"msgtype": "m.text", "body": "/id"})
            assert anna.user_id in (await answers(anna, tested, 2))[0]
        finally:
            await asyncio.to_thread(server.__exit__, None, None, None)
