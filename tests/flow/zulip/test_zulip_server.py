"""A real server with Zulip: set up by `channels add`, a message in, an answer out, a code for a stranger, and what was missed."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.doubles.live_server import live_server, offline
from tests.doubles.zulip_server import ADA, BOT, CHANNEL, EMAIL, EVE, KEY, ZulipServer


@asynccontextmanager
async def served(server: ZulipServer, home: Path) -> AsyncGenerator[None]:
    section = {"enabled": True, "site": server.url, "email": EMAIL, "apiKey": KEY, "owners": [ADA]}
    server.connected.clear()
    running = live_server(home, config={**offline(), "channels": {"zulip": section}})
    await asyncio.to_thread(running.__enter__)
    try:
        await asyncio.wait_for(server.connected.wait(), 60)
        yield
    finally:
        await asyncio.to_thread(running.__exit__, None, None, None)


async def test_what_people_write_is_answered_and_strangers_get_a_code(server: ZulipServer, tmp_path: Path) -> None:
    async with served(server, tmp_path):
        server.add("hello")
        asked = server.add("@**nano bot** and here?", to=CHANNEL, topic="plans")
        server.add("let me in", sender=EVE, to=[EVE])
        await server.until(lambda: len(server.accepted) == 3)
        await server.until(lambda: (asked, "eyes") in server.reacted)  # beside the answer
    [in_topic] = [each for each in server.accepted.values() if each.chat_id == f"c{CHANNEL}"]
    [code] = [each for each in server.accepted.values() if each.chat_id == str(EVE)]
    assert in_topic.thread_id == "plans"
    assert "pairing" in code.text.lower()
    server.add("while you were away", told=False)
    async with served(server, tmp_path):
        await server.until(lambda: [each.chat_id for each in server.accepted.values()].count(str(ADA)) == 2)


async def test_channels_add_sets_it_up_and_sends_a_test(server: ZulipServer, tmp_path: Path) -> None:
    """The command of docs/channels/zulip.md."""
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"agents": {"defaults": {"provider": "offline"}}}))
    env = {"NANOBOT_HOME": str(tmp_path), "HOME": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[3])}
    answers = ["--set", f"site={server.url}", "--set", f"email={EMAIL}", "--set", f"apiKey={KEY}", "--owner", str(ADA), "-c", str(file)]
    command = [sys.executable, "-m", "assistant.cli", "channels", "add", "zulip", *answers]
    done = await asyncio.to_thread(subprocess.run, command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"nano bot ({BOT})" in done.stdout
    assert [each.chat_id for each in server.accepted.values()] == [str(ADA)]
    assert KEY not in file.read_text()
