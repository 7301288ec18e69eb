import asyncio
import json
from pathlib import Path

import pytest

from assistant.access.principals import OWNER
from assistant.contracts.messages import AssistantMessage, Document, Text, Usage, UserMessage
from assistant.contracts.sessions import NewTurn
from assistant.store.database import AttachmentSettings, StoreSettings
from assistant.store.store import open_store

from .nanobot_process import Nanobot

ODD = "api:../../etc \x1b[31mred"


@pytest.fixture
async def nanobot(tmp_path: Path) -> Nanobot:
    """Two sessions are there: api:talk with a document, and one with an odd name."""
    nanobot = Nanobot(folder=tmp_path)
    nanobot.home.mkdir()
    store = await open_store(StoreSettings(), nanobot.home, AttachmentSettings())
    try:
        for key, text in (("api:talk", "What is this?"), (ODD, "Hello")):
            document = Document(attachment_id="att_1", name="a.pdf", format="pdf", size=812, facts=("2 pages",), text="Inside.")
            message = UserMessage(id=f"msg_{text}", parts=(Text(text=text), document))
            turn = NewTurn(id=f"turn_{text}", owner=OWNER.id, session=key, message=message)
            await store.sessions.begin_turn(turn, None)
            answer = AssistantMessage(id=f"msg_{text}_2", text="A *paper*.", usage=Usage(prompt_tokens=1200, completion_tokens=34))
            await store.sessions.end_turn(turn.id, "finished", [answer])
    finally:
        await store.close()
    return nanobot


def test_list_shows_the_latest_first(nanobot: Nanobot):
    lines = nanobot("sessions", "list").stdout.splitlines()
    assert lines[0].split() == ["SESSION", "MESSAGES", "TOKENS", "LAST", "(UTC)"]
    assert [line.split()[0] for line in lines[1:]] == ["api:../../etc", "api:talk"]
    assert "1,234" in lines[2]
    assert "\x1b" not in lines[1]


def test_list_is_limited(nanobot: Nanobot):
    assert len(nanobot("sessions", "list", "--limit", "1").stdout.splitlines()) == 2


def test_list_as_json_has_one_object_a_line(nanobot: Nanobot):
    found = [json.loads(line) for line in nanobot("sessions", "list", "--json").stdout.splitlines()]
    assert [session["key"] for session in found] == [ODD, "api:talk"]
    assert found[1]["usage"] == {"prompt_tokens": 1200, "completion_tokens": 34, "cached_tokens": 0, "reasoning_tokens": 0}


def test_show_prints_what_was_said(nanobot: Nanobot):
    shown = nanobot("sessions", "show", "talk").stdout
    assert shown.startswith("# api:talk\n")
    assert "What is this?\n*[a.pdf (pdf, 2 pages, 812 bytes)]*\n" in shown
    assert "A *paper*.\n" in shown
    assert "Inside." not in shown


def test_export_as_json_holds_everything(nanobot: Nanobot):
    exported = json.loads(nanobot("sessions", "export", "api:talk").stdout)
    assert exported["session"]["messages"] == 2
    assert [stored["message"]["role"] for stored in exported["messages"]] == ["user", "assistant"]
    assert exported["messages"][0]["message"]["parts"][1]["text"] == "Inside."


def test_export_writes_a_new_file_and_never_over_another(nanobot: Nanobot):
    arguments = ("sessions", "export", "talk", "--format", "markdown", "--output", "talk.md")
    assert nanobot(*arguments).returncode == 0
    assert (nanobot.folder / "talk.md").read_text().startswith("# api:talk\n")
    again = nanobot(*arguments)
    assert again.returncode == 2
    assert "is there already" in again.stderr


def test_delete_asks_first(nanobot: Nanobot):
    refused = nanobot("sessions", "delete", "talk", given="n\n")
    assert refused.returncode == 1
    assert "Delete api:talk with its 2 messages?" in refused.stdout + refused.stderr
    assert nanobot("sessions", "show", "talk").returncode == 0
    assert nanobot("sessions", "delete", "talk", given="y\n").returncode == 0
    assert nanobot("sessions", "show", "talk").returncode == 1


def test_delete_with_yes_does_not_ask(nanobot: Nanobot):
    done = nanobot("sessions", "delete", ODD, "--yes")
    assert (done.returncode, done.stdout) == (0, "api:../../etc \ufffd[31mred is deleted\n")
    assert len(nanobot("sessions", "list").stdout.splitlines()) == 2


def test_a_session_that_is_not_there_is_one_line_and_exit_code_1(tmp_path: Path):
    done = Nanobot(folder=tmp_path)("sessions", "show", "nope")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == 'nanobot: There is no session "nope". nanobot sessions list shows those there are.\n'


def test_an_export_that_cannot_be_written_is_wrong_usage(tmp_path: Path):
    nanobot = Nanobot(folder=tmp_path)
    nanobot("chat", "hi", "--model", "offline")
    done = nanobot("sessions", "export", "cli", "--output", "nowhere/talk.json")
    assert done.returncode == 2
    assert "nowhere/talk.json can't be written (No such file or directory)." in done.stderr
    assert "Traceback" not in done.stderr


async def test_compact_sums_up_the_older_part_without_a_model_too(nanobot: Nanobot):
    store = await open_store(StoreSettings(), nanobot.home, AttachmentSettings())
    for number in range(8):
        message = UserMessage(id=f"msg_{number}", parts=(Text(text=f"My order number {number} is KX-{number}471. " + "It is late. " * 20),))
        await store.sessions.begin_turn(NewTurn(id=f"turn_{number}", owner=OWNER.id, session="api:long", message=message), None)
        await store.sessions.end_turn(f"turn_{number}", "finished", [AssistantMessage(id=f"msg_{number}_2", text="Noted.")])
    await store.close()
    done = await asyncio.to_thread(nanobot, "sessions", "compact", "long")
    assert done.stdout.startswith("api:long is summed up before message 1"), done.stderr
    assert "without a model" in done.stdout
    store = await open_store(StoreSettings(), nanobot.home, AttachmentSettings())
    (made,) = await store.summaries.list(OWNER.id, "api:long")
    await store.close()
    assert "KX-0471" in made.text
    again = await asyncio.to_thread(nanobot, "sessions", "compact", "talk")
    assert again.stdout == "api:talk has nothing older to sum up\n"
    assert (await asyncio.to_thread(nanobot, "sessions", "compact", "none")).returncode != 0
