"""Through a real server: a message in, an answer out, with its receipt. And the five steps of docs/channels/irc.md, on a real ngircd."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from tests.doubles.irc_server import IrcServer
from tests.doubles.live_answers import first_sent
from tests.doubles.live_server import live_server, offline
from tests.doubles.ngircd import MISSING, PROGRAM, Person, ngircd


async def test_a_message_is_answered(tmp_path: Path) -> None:
    async with IrcServer() as irc:
        irc.accounts["anna"] = "anna"
        channel = {"enabled": True, "host": "127.0.0.1", "port": irc.port, "tls": False, "channels": ["#room"], "owners": ["account:anna"]}
        server = live_server(tmp_path / "home", config={**offline(), "channels": {"irc": channel}})
        running = await asyncio.to_thread(server.__enter__)
        try:
            await asyncio.wait_for(irc.joined.wait(), 60)
            irc.say("anna", "", "!id")
            async with httpx2.AsyncClient(base_url=running.url, timeout=30) as client:
                sent = await first_sent(client)
        finally:
            await asyncio.to_thread(server.__exit__, None, None, None)
        assert "account:anna" in irc.accepted[0].text
        assert sent["parts"][0]["message_id"] == irc.accepted[0].id


def nanobot(home: Path, *words: str) -> str:
    env = {"NANOBOT_HOME": str(home), "HOME": str(home), "PATH": os.environ["PATH"], "PYTHONPATH": str(Path(__file__).parents[3])}
    command = [sys.executable, "-m", "assistant.cli", *words]
    done = subprocess.run(command, cwd=home, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.skipif(not PROGRAM, reason=MISSING)
async def test_the_five_steps(tmp_path: Path) -> None:
    folder = tmp_path / "home"
    folder.mkdir()
    with ngircd(tmp_path) as port:
        anna = await Person.enter(port, "anna", "#room")
        file = folder / "config.json"
        section = {
            "host": "127.0.0.1",
            "port": port,
            "tls": False,
            "trustNicks": True,
            "channels": ["#room"],
        }  # a server on this machine, without accounts
        file.write_text(json.dumps({**offline(), "channels": {"irc": section}}))
        asked = ("--set", "host=127.0.0.1", "--set", "nick=mynano", "--set", "password=")
        said = await asyncio.to_thread(nanobot, folder, "channels", "add", "irc", *asked, "--owner", "anna!*@*", "-c", str(file))
        assert "mynano on 127.0.0.1" in said
        assert "test message" in (await anna.until("PRIVMSG")).at(1)
        server = live_server(folder, config=json.loads(file.read_text()))
        await asyncio.to_thread(server.__enter__)
        try:
            while (await anna.until("JOIN")).nick != "mynano":
                pass
            anna.put("PRIVMSG mynano :!id")
            while "anna!" not in (await anna.until("PRIVMSG")).at(1):
                pass
            assert "connected" in await asyncio.to_thread(nanobot, folder, "channels", "status", "-c", str(file))
            anna.put("PRIVMSG #room :mynano: hello")
            assert (await anna.until("PRIVMSG")).at(0) in ("#room", "anna")
        finally:
            await asyncio.to_thread(server.__exit__, None, None, None)
            await anna.leave()
