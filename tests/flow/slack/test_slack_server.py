"""A real server with Slack: set up, a message in, an answer out, a code for a stranger, and what was written while it was away."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from tests.doubles.live_server import live_server, offline
from tests.doubles.slack_server import APP_TOKEN, BOT, BOT_TOKEN, SlackServer

ROOM, CHAT = "C0000001", "D0000001"


@asynccontextmanager
async def served(slack: SlackServer, home: Path) -> AsyncGenerator[None]:
    section = {"enabled": True, "botToken": BOT_TOKEN, "appToken": APP_TOKEN, "apiBase": f"{slack.url}/api", "owners": ["U0000001"]}
    slack.connected.clear()
    server = live_server(home, config={**offline(), "channels": {"slack": section}})
    await asyncio.to_thread(server.__enter__)
    try:
        await asyncio.wait_for(slack.connected.wait(), 60)
        yield
    finally:
        await asyncio.to_thread(server.__exit__, None, None, None)


def write(slack: SlackServer, chat: str, text: str, user: str = "U0000001", **more: str) -> str:
    message = {"type": "message", "user": user, "text": text, "ts": slack.next_ts(), **more}
    slack.history[chat].append(message)
    slack.event(message | {"channel": chat, "channel_type": "im" if chat.startswith("D") else "channel"})
    return str(message["ts"])


async def test_what_people_write_is_answered_and_strangers_get_a_code(slack: SlackServer, tmp_path: Path) -> None:
    async with served(slack, tmp_path):
        write(slack, CHAT, "hello")
        asked = write(slack, ROOM, f"<@{BOT}> and here?")
        write(slack, ROOM, f"<@{BOT}> me too", user="U0000002")
        await slack.until(lambda: len(slack.accepted) == 2 and bool(slack.arguments_of("chat.postEphemeral")))
        await slack.until(lambda: asked in [each["timestamp"] for each in slack.arguments_of("reactions.add")])  # beside the answer
        slack.history["D0000002"] = []
        write(slack, "D0000002", "let me in", user="U0000002")
        await slack.until(lambda: len(slack.accepted) == 3)
    answers = list(slack.accepted.values())
    [in_room] = [each for each in answers if each.chat_id == ROOM]
    assert in_room.thread_id == asked
    assert "pairing" in answers[-1].text.lower()
    slack.pending.clear()
    slack.history[CHAT].append({"type": "message", "user": "U0000001", "text": "while you were away", "ts": slack.next_ts()})
    async with served(slack, tmp_path):
        await slack.until(lambda: len(slack.said(CHAT)) == 2)


def nanobot(home: Path, *words: str, env: Mapping[str, str]) -> str:
    command = [sys.executable, "-m", "assistant.cli", *words]
    done = subprocess.run(command, cwd=home, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


async def test_channels_add_sets_it_up_and_sends_a_test(slack: SlackServer, tmp_path: Path) -> None:
    """The commands of docs/channels/slack.md."""
    file = tmp_path / "config.json"
    section = {"apiBase": f"{slack.url}/api"}
    file.write_text(json.dumps({"agents": {"defaults": {"provider": "offline"}}, "channels": {"slack": section}}))
    env = {"NANOBOT_HOME": str(tmp_path), "HOME": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[3])}
    answers = ("--set", f"botToken={BOT_TOKEN}", "--set", f"appToken={APP_TOKEN}")
    said = await asyncio.to_thread(nanobot, tmp_path, "channels", "add", "slack", *answers, "--owner", "U0000001", "-c", str(file), env=env)
    assert f"@nanobot ({BOT}) in Home" in said
    assert len(slack.said(CHAT)) == 1
    assert BOT_TOKEN not in file.read_text()
    assert f"@nanobot ({BOT}) in Home" in await asyncio.to_thread(nanobot, tmp_path, "channels", "login", "slack", "-c", str(file), env=env)
