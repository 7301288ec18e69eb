"""`nanobot import nanobot | openclaw`: settings with their secrets kept apart, sessions, memories that wait, schedules that are paused."""

import json
import sqlite3
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from assistant.importing.nanobot import NanobotFolder
from assistant.importing.openclaw import OpenClawFolder
from tests.flow.nanobot_process import Nanobot

from .folders import nanobot_folder, nanobot_session, openclaw_folder, transcript
from .test_exports import exported, plan
from .test_hostile import JSON, mutated


@pytest.fixture
def nanobot(tmp_path: Path) -> Nanobot:
    return Nanobot(folder=tmp_path)


def fingerprint(folder: Path) -> dict[str, str]:
    return {str(path): sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*") if path.is_file() and not path.is_symlink()}


def config(nanobot: Nanobot) -> dict[str, Any]:
    return json.loads((nanobot.home / "config.json").read_text())


def schedules(nanobot: Nanobot) -> list[dict[str, Any]]:
    return [json.loads(line) for line in nanobot("schedule", "list", "--json").stdout.splitlines()]


def test_nanobots_folder_is_taken_over_and_left_as_it_was(nanobot: Nanobot, tmp_path: Path) -> None:
    folder = nanobot_folder(tmp_path / "old")
    before = fingerprint(folder)
    done = nanobot("import", "nanobot", str(folder), "--yes")
    assert done.returncode == 0, done.stderr
    assert plan(done.stdout) == {
        "sessions": ["1", "1"],
        "messages": ["2", "2"],
        "attachments": ["1", "1"],
        "memories": ["2", "2"],
        "schedules": ["3", "3"],
        "workspace files": ["2", "2"],
        "settings": ["14", "13"],
    }
    assert "passwd: a symbolic link, which is not followed" in done.stderr
    assert "x.png of a message is not there any more" in done.stderr
    assert "schedule j3: " in done.stderr
    assert "secret" not in done.stdout
    assert "Switched off until you say so (channels.NAME.enabled): telegram." in done.stdout
    assert config(nanobot) == {
        "agents": {
            "defaults": {"model": "anthropic/claude-sonnet-4-5", "provider": "auto", "temperature": 0.1, "timezone": "Europe/Berlin"}
        },
        "providers": {"anthropic": {"apiKey": "${ANTHROPIC_API_KEY}"}},
        "channels": {"telegram": {"enabled": False, "token": "${TELEGRAM_TOKEN}", "allowFrom": ["42"], "groupPolicy": "mention"}},
        "mcp": {
            "servers": {"notes": {"command": "npx", "args": ["-y", "notes"], "env": {"KEY": "${SERVERS_NOTES_ENV_KEY}"}, "enabled": False}}
        },
    }
    assert "ANTHROPIC_API_KEY=sk-ant-secret\n" in (nanobot.home / "secrets.env").read_text()
    asked, answered = exported(nanobot, "api:nanobot:telegram:42")
    assert [part.get("text") for part in asked["parts"]][1:] == ["Remember the bins", "The spare key is under the pot."]
    assert answered["text"] == "I will remind you."
    made = {each["new"]["text"]: each for each in schedules(nanobot)}
    assert {text: each["state"] for text, each in made.items()} == {"Remind me of the bins": "paused", "Water?": "paused"}
    assert made["Remind me of the bins"]["new"]["zone"] == "Europe/Lisbon"
    assert made["Remind me of the bins"]["new"]["address"]["chat_id"] == "42"
    copied = nanobot.home / "workspace" / "people" / "owner" / "imported" / "nanobot"
    assert sorted(path.relative_to(copied).as_posix() for path in copied.rglob("*") if path.is_file()) == ["SOUL.md", "memory/MEMORY.md"]
    assert fingerprint(folder) == before


def test_a_second_import_of_a_folder_finds_nothing_new_and_overwrites_nothing(nanobot: Nanobot, tmp_path: Path) -> None:
    folder = nanobot_folder(tmp_path / "old")
    nanobot.home.mkdir()
    mine = '// mine\n{"agents": {"defaults": {"model": "openai/gpt-5-mini"}}}\n'
    (nanobot.home / "config.json").write_text(mine)
    nanobot("import", "nanobot", str(folder), "--yes")
    text = (nanobot.home / "config.json").read_text()
    assert text.startswith("// mine")
    assert "openai/gpt-5-mini" in text
    for schedule in schedules(nanobot):
        nanobot("schedule", "resume", schedule["id"])
    (nanobot.home / "workspace" / "people" / "owner" / "imported" / "nanobot" / "SOUL.md").write_text("changed here")
    (folder / "workspace" / "cron" / "jobs.json").unlink()  # its past one would be tried again
    again = nanobot("import", "nanobot", str(folder), "--yes")
    assert "Nothing is new." in again.stdout
    assert {each["state"] for each in schedules(nanobot)} == {"active"}
    assert (nanobot.home / "config.json").read_text() == text


@pytest.mark.parametrize("sqlite", [True, False], ids=["SQLite", "JSON lines"])
def test_openclaws_folder_is_taken_over_from_its_newest_branch(nanobot: Nanobot, tmp_path: Path, sqlite: bool) -> None:
    folder = openclaw_folder(tmp_path / "claw", sqlite=sqlite)
    before = fingerprint(folder)
    done = nanobot("import", "openclaw", str(folder), "--yes")
    assert done.returncode == 0, done.stderr
    assert "channels.whatsapp: its keys differ here" in done.stderr
    assert ("some of its events are compressed" in done.stderr) == sqlite
    assert config(nanobot) == {
        "agents": {"defaults": {"model": "anthropic/claude-opus-4-6", "timezone": "Europe/Vienna"}},
        "providers": {"openai": {"apiKey": "${OPENAI_API_KEY}"}},
        "channels": {"telegram": {"enabled": False, "allowFrom": ["42"], "token": "${TELEGRAM_TOKEN}"}},
    }
    said = exported(nanobot, "api:openclaw:s-1")
    assert [each.get("text") or [part.get("text") or part["kind"] for part in each["parts"]] for each in said] == [
        ["What is this?", "image"],
        "A teal square.",
        ["Thanks"],
    ]
    assert said[0]["at"] == "2026-08-29T10:40:00+00:00"
    assert [(each["new"]["text"], each["state"]) for each in schedules(nanobot)] == [("The news, please", "paused")]
    assert fingerprint(folder) == before
    assert "Nothing is new." in nanobot("import", "openclaw", str(folder), "--yes").stdout


def test_a_database_that_runs_for_ever_or_is_none_is_left_out(nanobot: Nanobot, tmp_path: Path) -> None:
    folder = openclaw_folder(tmp_path / "claw", sqlite=False)
    for agent, content in {"broken": b"SQLite format 3\0" + b"\xff" * 4_000, "empty": b""}.items():
        (folder / "agents" / agent / "agent").mkdir(parents=True)
        (folder / "agents" / agent / "agent" / "openclaw-agent.sqlite").write_bytes(content)
    (folder / "state").mkdir()
    with sqlite3.connect(folder / "state" / "openclaw.sqlite") as database:
        endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x AS job_id, '{}' AS job_json FROM n"
        database.execute(f"CREATE VIEW cron_jobs AS {endless}")
    database.close()
    done = nanobot("import", "openclaw", str(folder), "--yes")
    assert done.returncode == 0, done.stderr
    assert "agents/broken/agent/openclaw-agent.sqlite: " in done.stderr
    assert len(exported(nanobot, "api:openclaw:s-1")) == 3


@pytest.mark.parametrize("product", ["nanobot", "openclaw", "pigeon"])
def test_a_folder_of_something_else_is_said(nanobot: Nanobot, tmp_path: Path, product: str) -> None:
    (tmp_path / "some").mkdir()
    (tmp_path / "some" / "notes.txt").write_text("x")
    done = nanobot("import", product, str(tmp_path / "some"))
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "is no folder of" in done.stderr or "pigeon can't be imported; chatgpt, claude, nanobot, openclaw can" in done.stderr


@settings(max_examples=100, deadline=None)
@given(path=some.lists(some.integers(0, 9), max_size=9), by=JSON, place=some.integers(0, 6))
def test_records_of_any_shape_are_read_or_skipped(tmp_path_factory: pytest.TempPathFactory, path: list[int], by: Any, place: int) -> None:
    base = tmp_path_factory.getbasetemp() / "records"
    if not base.exists():
        base.mkdir()
        nanobot_folder(base / "nanobot")
        openclaw_folder(base / "openclaw", sqlite=False)
    events = transcript()
    events[place] = mutated(events[place], path, by)
    (base / "openclaw" / "agents" / "main" / "sessions" / "s-1.jsonl").write_text("".join(f"{json.dumps(each)}\n" for each in events))
    records = [{"role": "user", "content": [{"type": "text", "text": "t"}], "timestamp": "2026-11-01T09:00:00", "media": ["/media/a"]}]
    nanobot_session(base / "nanobot", "cli:direct", *[mutated(each, path, by) for each in records])
    job = {"id": "j", "schedule": {"kind": "every", "everyMs": 60_000, "tz": "UTC"}, "payload": {"kind": "agent_turn", "message": "m"}}
    for cron in (base / "nanobot" / "workspace" / "cron" / "jobs.json", base / "openclaw" / "cron" / "jobs.json"):
        cron.write_text(json.dumps(mutated({"jobs": [job]}, path, by)))
    for source in (NanobotFolder(base / "nanobot"), OpenClawFolder(base / "openclaw")):
        for found in (*source.sessions(), *source.schedules(), *source.memories()):
            assert found
        source.settings()


@settings(max_examples=100, deadline=None)
@given(path=some.lists(some.integers(0, 9), max_size=9), by=JSON)
def test_settings_of_any_shape_are_read_or_skipped(tmp_path_factory: pytest.TempPathFactory, path: list[int], by: Any) -> None:
    from .folders import CONFIG

    base = tmp_path_factory.getbasetemp() / "settings"
    base.mkdir(exist_ok=True)
    (base / "config.json").write_text(json.dumps(mutated(CONFIG, path, by)))
    (base / "openclaw.json").write_text(json.dumps(mutated(CONFIG, path, by)))
    for source in (NanobotFolder(base), OpenClawFolder(base)):
        found = source.settings().values
        assert all("${" in str(value) for path, value in found.items() if path[-1] in ("apiKey", "token"))
