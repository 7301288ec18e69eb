"""`nanobot import chatgpt | claude`: conversations with their times and files, once, however often they are imported."""

import asyncio
import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from tests.doubles.model_server import ModelServer
from tests.flow.nanobot_process import Nanobot
from tests.flow.terminal import Terminal

from .exports import BEGAN, chatgpt_zip, claude_zip, conversation, said, trip_zip


@pytest.fixture
def nanobot(tmp_path: Path) -> Nanobot:
    return Nanobot(folder=tmp_path)


def exported(nanobot: Nanobot, key: str) -> list[dict[str, Any]]:
    """A session's messages, as `nanobot sessions export` writes them."""
    done = nanobot("sessions", "export", key)
    assert done.returncode == 0, done.stderr
    return [{"at": each["at"], **each["message"]} for each in json.loads(done.stdout)["messages"]]


def plan(shown: str) -> dict[str, list[str]]:
    """(found, new) by kind."""
    return {line[:16].strip(): line.split()[-2:] for line in shown.splitlines() if line[-1:].isdigit() and not line.startswith(" ")}


def test_chatgpts_conversations_come_with_their_times_files_and_model(nanobot: Nanobot, tmp_path: Path) -> None:
    file = trip_zip(tmp_path / "export.zip")
    before = sha256(file.read_bytes()).hexdigest()
    done = nanobot("import", "chatgpt", str(file), "--yes")
    assert (done.returncode, done.stderr) == (0, "")
    assert "2 messages in 1 sessions taken over." in done.stdout
    asked, answered = exported(nanobot, "api:chatgpt:c-rome")
    assert [part.get("text") for part in asked["parts"]] == [
        'From chatgpt, 2023-11-14: "A week in Rome"',
        "Where did I take this?",
        None,
        "Bring the blue umbrella.",
    ]
    assert [part["kind"] for part in asked["parts"]] == ["text", "text", "image", "document"]
    assert (asked["at"], asked["parts"][2]["original"]) == ("2023-11-14T22:13:30+00:00", "PNG, 40×30")
    assert (answered["text"], answered["model"]) == ("That is the Fontana di Trevi.", "gpt-4o")
    assert list((nanobot.home / "attachments").rglob("*"))
    assert sha256(file.read_bytes()).hexdigest() == before


def test_a_plan_comes_first_and_a_dry_run_writes_nothing(nanobot: Nanobot, tmp_path: Path) -> None:
    done = nanobot("import", "chatgpt", str(trip_zip(tmp_path / "export.zip")), "--dry-run")
    assert plan(done.stdout) == {"sessions": ["1", "1"], "messages": ["2", "2"], "attachments": ["2", "2"]}
    assert done.stdout.endswith("Nothing was written.\n")
    assert "chatgpt" not in nanobot("sessions", "list").stdout


def test_a_second_import_brings_only_what_is_new(nanobot: Nanobot, tmp_path: Path) -> None:
    first = trip_zip(tmp_path / "first.zip")
    nanobot("import", "chatgpt", str(first), "--yes")
    again = nanobot("import", "chatgpt", str(first), "--yes")
    assert again.stdout.endswith("Nothing is new.\n")
    later = conversation("c-new", "New", said("user", "Hello", BEGAN + 100), said("assistant", "Good day", BEGAN + 101))
    done = nanobot("import", "chatgpt", str(trip_zip(tmp_path / "second.zip", later)), "--yes")
    assert "2 messages in 1 sessions taken over." in done.stdout


def test_a_session_that_went_on_here_is_left_alone(nanobot: Nanobot, tmp_path: Path) -> None:
    short = conversation("c-1", "One", said("user", "Hello", BEGAN), said("assistant", "Good day", BEGAN + 1))
    nanobot("import", "chatgpt", str(chatgpt_zip(tmp_path / "1.zip", short)), "--yes")
    assert nanobot("chat", "--session", "chatgpt:c-1", "-m", "offline", "and now?").returncode == 0
    longer = conversation(
        "c-1", "One", said("user", "Hello", BEGAN), said("assistant", "Good day", BEGAN + 1), said("user", "More", BEGAN + 2)
    )
    done = nanobot("import", "chatgpt", str(chatgpt_zip(tmp_path / "2.zip", longer)), "--yes")
    assert "api:chatgpt:c-1: went on here; its new messages are left out" in done.stderr
    assert "More" not in str(exported(nanobot, "api:chatgpt:c-1"))


def test_claudes_conversations_come_with_what_was_extracted_and_memories_wait(nanobot: Nanobot, tmp_path: Path) -> None:
    done = nanobot("import", "claude", str(claude_zip(tmp_path / "export.zip")), "--yes")
    assert done.returncode == 0
    assert "the export has no file photo.jpg" in done.stderr
    asked, answered = exported(nanobot, "api:claude:u-soup")
    assert "Leeks, potatoes, thyme." in str(asked)
    assert (answered["text"], "thinking" in str(answered)) == ("Leek soup.", False)
    file = nanobot.home / "imported" / "claude-memories.jsonl"
    assert f"3 statements wait for your yes. Look through {file}" in done.stdout
    assert nanobot("memory", "list").stdout.count("\n") == 1
    nanobot("memory", "import", str(file))
    remembered = nanobot("memory", "list").stdout
    assert {"Ada lives in Lisbon and keeps bees.", "Prefers metric units", "Is allergic to hazelnuts"} <= {
        line.split("file", 1)[-1].strip() for line in remembered.splitlines()
    }
    assert nanobot("import", "claude", str(tmp_path / "export.zip"), "--yes").stdout.endswith("Nothing is new.\n")


async def test_what_was_imported_is_found_by_its_words(nanobot: Nanobot, tmp_path: Path) -> None:
    async with ModelServer() as model:
        nanobot.env.update(OPENAI_API_KEY="k", OPENAI_BASE_URL=model.url)
        await asyncio.to_thread(nanobot, "import", "claude", str(claude_zip(tmp_path / "export.zip")), "--yes")
        done = await asyncio.to_thread(nanobot, "chat", "-m", "openai/x", 'CALLTOOL search_history {"query": "leek soup"}')
        assert done.returncode == 0, done.stderr
        assert b"Leek soup." in model.bodies[-1]


def test_a_person_at_a_terminal_sees_the_plan_and_says_yes(nanobot: Nanobot, tmp_path: Path) -> None:
    file = trip_zip(tmp_path / "export.zip")
    with Terminal(nanobot, "import", "chatgpt", str(file)) as terminal:
        assert "sessions" in terminal.read_until("Take it over? [y/N]: ")
        terminal.type("n\n")
        assert terminal.read_to_the_end() == 1
    with Terminal(nanobot, "import", "chatgpt", str(file)) as terminal:
        terminal.read_until("Take it over? [y/N]: ")
        terminal.type("y\n")
        assert terminal.read_to_the_end() == 0
    assert len(exported(nanobot, "api:chatgpt:c-rome")) == 2


def test_without_a_terminal_and_a_yes_nothing_is_written(nanobot: Nanobot, tmp_path: Path) -> None:
    done = nanobot("import", "chatgpt", str(trip_zip(tmp_path / "export.zip")))
    assert (done.returncode, "nothing was written: --yes takes it over" in done.stderr) == (1, True)
