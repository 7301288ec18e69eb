"""`nanobot people` and `nanobot pairing approve --as`."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from assistant.contracts.inbox import Pairing, Sender
from assistant.contracts.messages import AssistantMessage, Text, UserMessage
from assistant.contracts.sessions import NewTurn
from assistant.store.database import StoreSettings
from assistant.store.store import open_store
from tools.workspace import folder_of

from .nanobot_process import Nanobot


@pytest.fixture
async def nanobot(tmp_path: Path) -> Nanobot:
    """Anna has a session; a stranger waits to be let in."""
    nanobot = Nanobot(folder=tmp_path)
    nanobot.home.mkdir()
    store = await open_store(StoreSettings(), nanobot.home)
    try:
        await store.people.of("telegram:42", "Anna")
        message = UserMessage(id="msg_1", parts=(Text(text="my secret"),))
        await store.sessions.begin_turn(NewTurn(id="turn_1", owner="telegram:42", session="telegram:42", message=message), None)
        await store.sessions.end_turn("turn_1", "finished", [AssistantMessage(id="msg_2", text="well")])
        now = datetime.now(UTC)
        sender = Sender(id="7", name="anna on Discord")
        for code, channel in (("ABCDEFGH", "discord"), ("JKMNPQRS", "telegram")):
            asked = Pairing(channel=channel, sender=sender, chat_id="77", code=code, created=now, expires_at=now + timedelta(hours=1))
            await store.pairings.request(asked, most_open=3)
    finally:
        await store.close()
    return nanobot


def done(nanobot: Nanobot, *arguments: str) -> str:
    ran = nanobot(*arguments)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_people_are_listed_shown_and_changed(nanobot: Nanobot) -> None:
    rows = [line.split() for line in done(nanobot, "people", "list").splitlines()]
    assert rows[0] == ["PERSON", "NAME", "ROLE", "ZONE", "IDENTITIES"]
    assert [row[0] for row in rows[1:]] == ["owner", "telegram:42"]
    for change in (("zone", "Europe/Berlin"), ("quiet", "22:00-07:00"), ("role", "guest"), ("name", "Anna B.")):
        done(nanobot, "people", change[0], "telegram:42", change[1])
    shown = json.loads(done(nanobot, "people", "show", "anna b.", "--json"))
    assert (shown["zone"], shown["quiet"], shown["role"], shown["name"]) == ("Europe/Berlin", "22:00-07:00", "guest", "Anna B.")
    assert shown["kept"]["sessions"] == 1
    assert "1 sessions" in done(nanobot, "people", "show", "telegram:42")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("show", "nobody"), "no such person"),
        (("zone", "anna", "Mars/Olympus"), "no time zone"),
        (("role", "owner", "guest"), "stays its owner"),
        (("unlink", "local"), "owner's"),
        (("unlink", "telegram:42"), "only identity"),
        (("link", "anna", "local"), "can't become another's"),
    ],
)
def test_what_can_not_be_is_said_in_a_line(nanobot: Nanobot, arguments: tuple[str, ...], told: str) -> None:
    done(nanobot, "people", "name", "owner", "Me")  # the owner is recorded
    ran = nanobot("people", *arguments)
    assert ran.returncode == 1
    assert told in ran.stderr
    assert ran.stderr.count("\n") == 1


def test_a_stranger_is_let_in_as_a_person_or_a_new_one(nanobot: Nanobot) -> None:
    done(nanobot, "pairing", "approve", "ABCDEFGH", "--as", "anna")
    done(nanobot, "pairing", "approve", "JKMNPQRS")
    found = [json.loads(line) for line in done(nanobot, "people", "list", "--json").splitlines()]
    identities = {person["id"]: set(person["identities"]) for person in found}
    assert identities == {"owner": {"local"}, "telegram:42": {"telegram:42", "discord:7"}, "telegram:7": {"telegram:7"}}
    ran = nanobot("pairing", "approve", "ABCDEFGH", "--as", "bert")
    assert (ran.returncode, "no such person" in ran.stderr) == (1, True)
    done(nanobot, "people", "unlink", "discord:7")
    found = [json.loads(line) for line in done(nanobot, "people", "list", "--json").splitlines()]
    assert [person["identities"] for person in found if person["id"].startswith("per_")] == [["discord:7"]]
    code, words = done(nanobot, "people", "link", "anna").splitlines()
    assert len(code) == 8
    assert f"/link {code}" in words
    done(nanobot, "people", "link", "anna", "discord:7")
    assert "per_" not in done(nanobot, "people", "list")


def test_a_person_is_exported_and_forgotten(nanobot: Nanobot, tmp_path: Path) -> None:
    file = tmp_path / "anna.json"
    files = [folder_of(nanobot.home / "workspace", owner) / "a.txt" for owner in ("telegram:42", "telegram:43")]
    for each in files:
        each.write_text("my secret")
    (files[0].parent / "link").symlink_to(files[1].parent)
    (files[0].parent / "b\udcff").mkdir()
    (files[0].parent / "b\udcff" / "c").touch()
    done(nanobot, "people", "export", "anna", "-o", str(file))
    exported = json.loads(file.read_text())
    own = f"people/{files[0].parent.name}"
    assert exported["workspace_files"] == [{"path": f"{own}/a.txt", "bytes": 9}, {"path": f"{own}/b\ufffd/c", "bytes": 0}]
    assert exported["person"]["name"] == "Anna"
    (session,) = exported["sessions"]
    assert session["messages"][0]["parts"][0]["text"] == "my secret"
    assert nanobot("people", "export", "anna", "-o", str(file)).returncode == 2
    assert nanobot("people", "forget", "anna", given="n\n").returncode == 1
    done(nanobot, "people", "forget", "anna", "--yes")
    assert [each.exists() for each in files] == [False, True]
    assert done(nanobot, "sessions", "list").count("\n") == 1
    assert "Anna" not in done(nanobot, "people", "list")


def test_other_commands_take_a_person_by_id_name_and_identity(tmp_path: Path):
    nanobot = Nanobot(folder=tmp_path)
    assert nanobot("people", "name", "owner", "Anna").returncode == 0
    (tmp_path / "memories.jsonl").write_text('{"text": "Anna keeps bees"}')
    assert nanobot("memory", "import", "memories.jsonl", "--owner", "anna").returncode == 0
    assert nanobot("schedule", "add", "every hour", "news", "--kind", "ask", "--person", "local").returncode == 0
    for who in ("owner", "Anna", "local"):
        assert "bees" in nanobot("memory", "list", "--owner", who).stdout
        assert " owner " in nanobot("schedule", "list", "--person", who).stdout
        assert nanobot("usage", "--person", who).returncode == 0
        assert nanobot("budgets", "set", f"person:{who}", "--tokens", "9").stdout == "person:owner may use 9 tokens a day\n"
    [budget] = [json.loads(line) for line in nanobot("budgets", "list", "--json").stdout.splitlines()]
    assert budget == {"subject": "person:owner", "per": "day", "tokens": 9, "from": "set here"}
    for command in (
        ("memory", "list", "--owner", "ghost"),
        ("schedule", "list", "--person", "ghost"),
        ("schedule", "add", "every hour", "x", "--kind", "ask", "--person", "ghost"),
        ("usage", "--person", "ghost"),
        ("budgets", "set", "person:ghost", "--tokens", "9"),
    ):
        done = nanobot(*command)
        assert (done.returncode, done.stderr) == (1, "nanobot: There is no such person.\n"), command


def test_a_preferred_chat_is_set_shown_and_used(nanobot: Nanobot) -> None:
    content = {"channels": {"telegram": {"enabled": True, "token": "1:x"}}}
    (nanobot.folder / "config.json").write_text(json.dumps(content))
    assert "prefers telegram:43, telegram:42" in done(nanobot, "people", "prefer", "anna", "telegram:43", "Telegram:42")
    assert json.loads(done(nanobot, "people", "show", "anna", "--json"))["prefers"] == ["telegram:43", "telegram:42"]
    id = done(nanobot, "send", "anna", "Dinner is ready.").split()[0]
    shown = done(nanobot, "deliveries", "show", id)
    assert "to       telegram:43, for telegram:42" in shown
    assert "prefers" not in done(nanobot, "people", "prefer", "anna", "")
    for arguments, words in [
        (("people", "prefer", "anna", "pigeon:1"), "There is no channel"),
        (("people", "prefer", "anna", "telegram:mother"), "A Telegram chat_id is a number"),
        (("send", "carl", "Hi."), 'There is no person "carl". There are: owner, Anna'),
        (("send", "me", "Hi."), "There is no chat in which you can be reached"),
        (("send", "anna", "Hi.", "--thread", "5"), "a person has no threads"),
    ]:
        refused = nanobot(*arguments)
        assert (refused.returncode != 0, words in refused.stderr) == (True, True), refused.stderr
