"""A real server with Mattermost: set up by `channels add`, a message in, an answer out, a code for a stranger, and what was missed."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.doubles.live_server import live_server, offline
from tests.doubles.mattermost_server import ADA, BOT, DIRECT, EVE, ROOM, TOKEN, MattermostServer, id_of


@asynccontextmanager
async def served(server: MattermostServer, home: Path) -> AsyncGenerator[None]:
    section = {"enabled": True, "serverUrl": server.url, "token": TOKEN, "owners": [ADA]}
    server.connected.clear()
    running = live_server(home, config={**offline(), "channels": {"mattermost": section}})
    await asyncio.to_thread(running.__enter__)
    try:
        await asyncio.wait_for(server.connected.wait(), 60)
        yield
    finally:
        await asyncio.to_thread(running.__exit__, None, None, None)


async def test_what_people_write_is_answered_and_strangers_get_a_code(server: MattermostServer, tmp_path: Path) -> None:
    other = id_of("evesdm")
    server.channels[other] = "D"
    async with served(server, tmp_path):
        server.add({"message": "hello"})
        asked = server.add({"channel_id": ROOM, "message": "@nanobot and here?"})
        server.add({"channel_id": other, "user_id": EVE, "message": "let me in"})
        await server.until(lambda: len(server.accepted) == 3)
        await server.until(lambda: asked in [each["post_id"] for each in server.reactions])  # beside the answer
    [in_room] = [each for each in server.accepted.values() if each.chat_id == ROOM]
    [code] = [each for each in server.accepted.values() if each.chat_id == other]
    assert in_room.thread_id == asked
    assert "pairing" in code.text.lower()
    server.add({"message": "while you were away"}, told=False)
    async with served(server, tmp_path):
        await server.until(lambda: [each.chat_id for each in server.accepted.values()].count(DIRECT) == 2)


async def test_channels_add_sets_it_up_and_sends_a_test(server: MattermostServer, tmp_path: Path) -> None:
    """The command of docs/channels/mattermost.md."""
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"agents": {"defaults": {"provider": "offline"}}}))
    env = {"NANOBOT_HOME": str(tmp_path), "HOME": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[3])}
    answers = ["--set", f"serverUrl={server.url}", "--set", f"token={TOKEN}", "--owner", ADA, "-c", str(file)]
    command = [sys.executable, "-m", "assistant.cli", "channels", "add", "mattermost", *answers]
    done = await asyncio.to_thread(subprocess.run, command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"@nanobot ({BOT})" in done.stdout
    assert [each.chat_id for each in server.accepted.values()] == [DIRECT]
    assert TOKEN not in file.read_text()
