"""`nanobot schedule` where no server runs: what is planned waits in the store; mistakes are said in one line."""

import json
from pathlib import Path

import pytest

from .nanobot_process import Nanobot

TO = ("--to", "telegram:123456789")


@pytest.fixture
def nanobot(tmp_path: Path) -> Nanobot:
    (tmp_path / "config.json").write_text(json.dumps({"channels": {"telegram": {"enabled": True, "token": "1:x"}}}))
    return Nanobot(folder=tmp_path)


def planned(nanobot: Nanobot, *arguments: str) -> str:
    done = nanobot("schedule", "add", *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()[0]


def test_what_is_planned_is_listed_shown_and_ended(nanobot: Nanobot):
    reminder = planned(nanobot, "every weekday at 8:30", "stretch", *TO, "--zone", "Europe/Berlin", "--until-done", "5")
    ask = planned(nanobot, "morgen um 9 Uhr", "what is new?", "--kind", "ask")
    rows = nanobot("schedule", "list").stdout.splitlines()
    assert [row.split()[:3] for row in rows[1:]] == [[ask, "ask", "active"], [reminder, "reminder", "active"]]
    shown = nanobot("schedule", "show", reminder).stdout
    assert "when     cron 30 8 * * 1-5, next " in shown
    assert "to       telegram:123456789" in shown
    assert nanobot("schedule", "run", reminder).stdout.split()[1] == "waiting:"
    assert "waiting" in nanobot("schedule", "show", reminder).stdout
    found = json.loads(nanobot("schedule", "show", reminder, "--json").stdout)
    assert (found["schedule"]["new"]["until_done"], [each["state"] for each in found["occurrences"]]) == (5, ["waiting"])
    for command, state in (("pause", "paused"), ("resume", "active"), ("cancel", "cancelled")):
        assert nanobot("schedule", command, reminder).stdout.split()[1] == f"{state}:"
    assert nanobot("schedule", "list", "--person", "telegram:5").stdout.splitlines()[1:] == []


@pytest.mark.parametrize(
    ("arguments", "code", "why"),
    [
        (("add", "soon", "x", *TO), 1, "in 10 minutes · tomorrow at 9:00"),
        (("add", "2020-01-01T10:00", "x", *TO), 1, "is past"),
        (("add", "tomorrow", "x"), 1, "--to telegram:123456789"),
        (("add", "tomorrow", "x", "--to", "telegram"), 1, "<channel>:<chat_id>"),
        (("add", "tomorrow", "x", *TO, "--zone", "Nowhere/There"), 1, "time zone"),
        (("add", "tomorrow", "x", *TO, "--kind", "dance"), 2, "'dance'"),
        (("add", "tomorrow", "x", *TO, "--until-done", "9999"), 2, "1440"),
        (("add", "tomorrow", "x", "--kind", "watch"), 1, "looks at"),
        (("list", "--state", "odd"), 2, "active, paused, done, cancelled"),
        (("show", "sch_none"), 1, "no such schedule"),
        (("cancel", "sch_none"), 1, "no such schedule"),
        (("run", "sch_none"), 1, "no such schedule"),
    ],
)
def test_a_mistake_is_said_in_one_line(nanobot: Nanobot, arguments: tuple[str, ...], code: int, why: str):
    done = nanobot("schedule", *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert why in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
