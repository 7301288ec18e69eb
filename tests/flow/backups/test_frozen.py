"""What waited in a backup waits in the restored store until its owner says what becomes of it."""

import json
import urllib.request
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.doubles.in_thread import InThread
from tests.doubles.ntfy_server import NtfyServer
from tests.flow.nanobot_process import LIMIT, Nanobot, Server

FROZEN = "frozen: restored from a backup of "


@pytest.fixture
def ntfy() -> Generator[InThread[NtfyServer]]:
    with InThread(NtfyServer()) as server:
        yield server


@pytest.fixture
def restored(tmp_path: Path, ntfy: InThread[NtfyServer]) -> Nanobot:
    """From a backup in which a message and a schedule wait, that was made before the server sent it."""
    first = at(tmp_path / "first", ntfy)
    assert first("send", "ntfy:phone", "before the backup").returncode == 0
    assert first("schedule", "add", "every day at 9:00", "stretch", "--to", "ntfy:phone").returncode == 0
    assert first("backup", "../file").returncode == 0
    second = at(tmp_path / "second", ntfy)
    assert second("restore", "../file").returncode == 0
    return second


def at(folder: Path, ntfy: InThread[NtfyServer]) -> Nanobot:
    folder.mkdir()
    section = {"enabled": True, "server": ntfy.server.url, "topics": {"phone": {"topic": "out"}}, "token": "tk_" + "x" * 20}
    (folder / "config.json").write_text(json.dumps({"channels": {"ntfy": section}, "agents": {"defaults": {"model": "offline"}}}))
    return Nanobot(folder=folder)


def sent(ntfy: InThread[NtfyServer]) -> list[str]:
    return ntfy.do(lambda server: [seen.text for seen in server.accepted.values()])


def states(nanobot: Nanobot) -> dict[str, str]:
    found = [json.loads(line) for line in nanobot("deliveries", "list", "--json").stdout.splitlines()]
    return {each["event"]["text"]: each["state"] for each in found}


def until_arrived(ntfy: InThread[NtfyServer], count: int) -> None:
    ntfy.run(lambda server: server.until(lambda: len(server.accepted) >= count))


def deliver(server: Server, text: str) -> None:
    body = json.dumps({"channel": "ntfy", "chat_id": "phone", "text": text}).encode()
    request = urllib.request.Request(f"{server.url}/v1/deliveries", body, {"Content-Type": "application/json"})
    urllib.request.urlopen(request, timeout=LIMIT).close()


def test_it_says_everywhere_that_it_is_frozen_and_what_to_do(restored: Nanobot) -> None:
    assert FROZEN in restored("deliveries", "list").stderr
    doctor = restored("doctor").stdout
    assert FROZEN in doctor
    assert "to fix it: nanobot resume" in doctor
    refused = restored("resume")
    assert refused.returncode == 1
    assert "there wait: 1 deliveries" in refused.stderr
    assert "`nanobot resume --cancel` cancels it, `nanobot resume --send` does it" in refused.stderr


def test_nothing_goes_out_until_it_is_resumed_and_then_in_the_server_that_runs(restored: Nanobot, ntfy: InThread[NtfyServer]) -> None:
    with restored.serving() as server:
        deliver(server, "since the restore")
        assert states(restored) == {"before the backup": "queued", "since the restore": "queued"}
        assert sent(ntfy) == []
        done = restored("resume", "--cancel")
        assert done.stdout.startswith("resumed, and cancelled what waited: 1 deliveries")
        until_arrived(ntfy, 1)
        assert sent(ntfy) == ["since the restore"]
        server.process.terminate()
        assert server.process.wait(LIMIT) == 0
    assert states(restored) == {"before the backup": "cancelled", "since the restore": "sent"}
    assert "not frozen" in restored("resume").stdout
    assert FROZEN not in restored("deliveries", "list").stderr


def test_what_waited_is_sent_once_where_its_owner_says_so(restored: Nanobot, ntfy: InThread[NtfyServer]) -> None:
    assert restored("resume", "--send").stdout == "resumed\n"
    with restored.serving() as server:
        deliver(server, "behind it")
        until_arrived(ntfy, 2)
    assert sent(ntfy) == ["before the backup", "behind it"]


def test_a_store_in_which_nothing_waits_is_resumed_without_a_choice(tmp_path: Path, ntfy: InThread[NtfyServer]) -> None:
    first, second = at(tmp_path / "first", ntfy), at(tmp_path / "second", ntfy)
    first("chat", "hello")
    assert first("backup", "../file").returncode == 0
    assert second("restore", "../file").returncode == 0
    assert second("resume").stdout == "resumed\n"
