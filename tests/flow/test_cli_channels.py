"""`nanobot channels list | add`: from nothing to a channel that works."""

import asyncio
import json
import stat
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from channels.catalog import OWN
from tests.doubles.ntfy_server import NtfyServer

from .nanobot_process import Nanobot
from .terminal import Terminal

SECRET = "tk_" + "s" * 29


@pytest.fixture
def nanobot(tmp_path: Path) -> Nanobot:
    return Nanobot(folder=tmp_path)


@pytest.fixture
async def server() -> AsyncGenerator[NtfyServer]:
    async with NtfyServer() as server:
        yield server


def test_every_channel_is_listed_with_what_it_needs(nanobot: Nanobot) -> None:
    done = nanobot("channels", "list")
    rows = {line.split()[0]: line for line in done.stdout.splitlines()[1:]}
    assert set(OWN) <= rows.keys()
    assert rows["ntfy"].split()[1] == "off"
    assert rows["ntfy"].endswith("topics.phone.topic")


async def test_a_channel_is_added_by_a_person_at_a_terminal(nanobot: Nanobot, server: NtfyServer) -> None:
    """Asked for what is needed, in the order of the kind; the secret is not shown, and the configuration only refers to it."""

    def typed() -> str:
        with Terminal(nanobot, "channels", "add", "ntfy") as terminal:
            for key, words in (("topic: ", "out"), ("replies (optional): ", "in"), ("server [https://ntfy.sh]: ", server.url)):
                terminal.read_until(key)
                terminal.type(f"{words}\n")
            terminal.read_until("token (optional): ")
            terminal.type(f"{SECRET}\n")
            shown = terminal.read_until("owner: ")
            terminal.type("phone\n")
            assert SECRET not in shown
            assert terminal.read_to_the_end() == 0
            return terminal.text

    said = await asyncio.to_thread(typed)
    assert "Connected as" in said
    assert "Test message to phone: sent" in said
    assert "nanobot serve" in said
    assert [each.chat_id for each in server.accepted.values()] == ["out"]
    config = json.loads((nanobot.home / "config.json").read_text())
    assert config == {
        "channels": {
            "ntfy": {
                "enabled": True,
                "topics": {"phone": {"topic": "out", "replies": "in"}},
                "server": server.url,
                "token": "${NTFY_TOKEN}",
                "owners": ["phone"],
            }
        }
    }
    secrets = nanobot.home / "secrets.env"
    assert f"NTFY_TOKEN={SECRET}" in secrets.read_text()
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o600
    assert "enabled, but no server runs" in (await asyncio.to_thread(nanobot, "channels", "status")).stdout


async def test_answers_on_the_command_line_are_not_asked(nanobot: Nanobot, server: NtfyServer) -> None:
    (nanobot.folder / "config.json").write_text('// mine\n{\n    "api": {"port": 9000}, // here\n}\n')
    answers = [f"--set=server={server.url}", "--set=topics.phone.topic=out", "--owner=phone"]
    done = await asyncio.to_thread(nanobot, "channels", "add", "ntfy", *answers)
    assert (done.returncode, "Test message to phone: sent" in done.stdout) == (0, True)
    text = (nanobot.folder / "config.json").read_text()
    assert text.startswith('// mine\n{\n    "api": {"port": 9000}, // here')
    assert (await asyncio.to_thread(nanobot, "config", "check")).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["pigeon"], 'there is no channel "pigeon". nanobot channels list shows those there are'),
        (["ntfy"], "topics.phone.topic: needed. --set topics.phone.topic=… gives it"),
        (["ntfy", "--set", "topics.phone.topic=a b"], "a topic has 1 to 64 letters, digits, - and _"),
        (["ntfy", "--set", "colour=red"], "colour=red: give KEY=VALUE; the keys are"),
        (["ntfy", "--set", "topics.phone.topic=a", "--set", "topics.phone.replies=a"], "the assistant would read itself"),
    ],
)
def test_a_wrong_answer_writes_nothing(nanobot: Nanobot, arguments: list[str], words: str) -> None:
    done = nanobot("channels", "add", *arguments)
    assert done.returncode in (1, 2)
    assert words in " ".join(done.stderr.replace("│", " ").split())
    assert not (nanobot.home / "config.json").exists()


def test_a_platform_that_does_not_answer_is_said_and_the_configuration_stays(nanobot: Nanobot) -> None:
    done = nanobot("channels", "add", "ntfy", "--set", "topics.phone.topic=a", "--set", "server=http://127.0.0.1:9")
    assert done.returncode == 1
    assert "ntfy can't be reached" in done.stderr
    assert (nanobot.home / "config.json").exists()


def test_secrets_that_others_may_read_are_refused(nanobot: Nanobot) -> None:
    nanobot.home.mkdir()
    (nanobot.home / "secrets.env").write_text("A=b\n")
    (nanobot.home / "secrets.env").chmod(0o644)
    done = nanobot("config", "check")
    assert done.returncode == 1
    assert "chmod 600" in done.stderr


def test_a_channel_that_is_not_set_up_is_said(nanobot: Nanobot) -> None:
    done = nanobot("send", "ntfy:phone", "hello")
    assert "ntfy is not set up here: nanobot channels add ntfy" in done.stderr
