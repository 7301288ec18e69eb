import json
from pathlib import Path

import pytest

from assistant.contracts.memory import MemorySource, Statement
from assistant.contracts.messages import Text, UserMessage
from assistant.contracts.people import OWNER_ID
from assistant.contracts.sessions import NewTurn
from assistant.store.database import StoreSettings
from assistant.store.store import open_store

from .nanobot_process import Nanobot

CODE = "My locker code is 77-Quokka"


@pytest.fixture
async def nanobot(tmp_path: Path) -> Nanobot:
    """The owner has a superseded memory, its newer form from a message, and another; a guest has one."""
    nanobot = Nanobot(folder=tmp_path)
    nanobot.home.mkdir()
    store = await open_store(StoreSettings(), nanobot.home)
    try:
        message = UserMessage(id="msg_1", parts=(Text(text=f"By the way: {CODE}\x1b[31m"),))
        await store.sessions.begin_turn(NewTurn(id="turn_1", owner=OWNER_ID, session="api:talk", message=message), None)
        await store.sessions.end_turn("turn_1", "finished", [])
        await store.memories.add(OWNER_ID, Statement(text="My locker code is 11-Wombat"), explicit=True)
        source = MemorySource(session="api:talk", message="msg_1", seq=1)
        await store.memories.add(OWNER_ID, Statement(text=CODE, source=source, learned=True), explicit=True)
        await store.memories.add(OWNER_ID, Statement(text="I like tea", kind="preference"), explicit=True)
        await store.memories.add("telegram:77", Statement(text="I keep falcons"), explicit=True)
    finally:
        await store.close()
    return nanobot


def test_list_shows_what_holds_of_one_owner(nanobot: Nanobot):
    lines = nanobot("memory", "list").stdout.splitlines()
    assert lines[0].split() == ["NO", "KIND", "SAID", "(UTC)", "FROM", "MEMORY"]
    assert [line.split()[0] for line in lines[1:]] == ["3", "2"]
    assert "learned" in lines[2]
    assert "superseded" in nanobot("memory", "list", "--all").stdout
    assert "falcons" in nanobot("memory", "list", "--owner", "telegram:77").stdout
    [first, second] = [json.loads(line) for line in nanobot("memory", "list", "--json").stdout.splitlines()]
    assert (first["text"], second["source"]["session"]) == ("I like tea", "api:talk")


def test_search_and_why(nanobot: Nanobot):
    assert "Quokka" in nanobot("memory", "search", "what", "is", "the", "locker", "code").stdout.splitlines()[1]
    told = nanobot("memory", "why", "2").stdout
    assert f"> By the way: {CODE}" in told
    assert "api:talk" in told
    assert "\x1b" not in told
    missing = nanobot("memory", "why", "9")
    assert (missing.returncode, missing.stderr) == (1, "nanobot: There is no such memory.\n")


def test_forget_export_and_import(nanobot: Nanobot):
    exported = nanobot("memory", "export", "-o", "all.jsonl")
    assert exported.returncode == 0
    assert nanobot("memory", "export", "-o", "all.jsonl").returncode == 2
    refused = nanobot("memory", "forget", "2", given="n\n")
    assert refused.returncode == 1
    assert "Quokka" in refused.stdout
    assert nanobot("memory", "forget", "2", "--everywhere", "--yes").stdout == "Memory 2 is forgotten, with 1 older\n"
    assert "Quokka" not in nanobot("sessions", "show", "talk").stdout
    assert nanobot("memory", "import", "all.jsonl").stdout == "1 remembered; 2 left out, which were forgotten\n"
    assert "Quokka" not in nanobot("memory", "export").stdout
    for file in nanobot.home.glob("nanobot.db*"):
        if file.is_file():
            assert b"Quokka" not in file.read_bytes(), file
    assert nanobot("memory", "import", "all.jsonl", "--owner", "telegram:77").stdout == "3 remembered\n"
    assert "Quokka" in nanobot("memory", "list", "--owner", "telegram:77").stdout


@pytest.mark.parametrize(
    "line", ["no json", "[]", '{"text": ""}', '{"text": 5}', '{"text": "x", "kind": "y"}', '{"text":"x","seen_at":"z"}']
)
def test_a_line_that_is_no_memory_is_named(nanobot: Nanobot, line: str):
    (nanobot.folder / "bad.jsonl").write_text(f'{{"text": "fine"}}\n{line}\n')
    done = nanobot("memory", "import", "bad.jsonl")
    assert done.returncode == 2
    assert "line 2 is no memory" in done.stderr.replace("\n", " ").replace("│ ", "")
