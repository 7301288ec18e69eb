"""`nanobot rollback`, after an upgrade."""

import sqlite3
from pathlib import Path

import pytest

from assistant.store.migrate import upgrade
from assistant.store.store import HEAD
from tests.flow.nanobot_process import Nanobot
from tests.flow.terminal import Terminal

OLD = f"{int(HEAD) - 1:04}"


@pytest.fixture
def upgraded(tmp_path: Path) -> Nanobot:
    """An older store that this version was started with."""
    nanobot = Nanobot(folder=tmp_path)
    nanobot.home.mkdir()
    upgrade(f"sqlite:///{nanobot.home}/nanobot.db", OLD)
    assert nanobot("chat", "since the upgrade").returncode == 0
    return nanobot


def revision(nanobot: Nanobot) -> str:
    connection = sqlite3.connect(nanobot.home / "nanobot.db")
    ((found,),) = connection.execute("SELECT version_num FROM alembic_version")
    connection.close()
    return found


def test_it_says_what_is_lost_and_brings_the_older_store_back(upgraded: Nanobot) -> None:
    refused = upgraded("rollback")
    assert (refused.returncode, revision(upgraded)) == (1, HEAD)
    assert f"of revision {OLD}, comes back. Lost is what was written since: 1 sessions, 2 messages." in refused.stdout
    assert "Nothing was changed. Add --yes to do it." in refused.stderr
    assert upgraded("rollback", "--yes").returncode == 0
    assert revision(upgraded) == OLD
    assert "since the upgrade" not in upgraded("sessions", "list").stdout
    assert revision(upgraded) == HEAD  # upgraded again, by this version


def test_it_asks_on_a_terminal(upgraded: Nanobot) -> None:
    with Terminal(upgraded, "rollback") as terminal:
        terminal.read_until("Go on? [y/N]: ")
        terminal.type("y\n")
        assert f"rolled back to revision {OLD}" in terminal.read_until("upgrades the store again.")
    assert revision(upgraded) == OLD


def test_it_leaves_a_server_that_runs_alone(upgraded: Nanobot) -> None:
    with upgraded.serving():
        refused = upgraded("rollback", "--yes")
    assert (refused.returncode, "A server uses this store" in refused.stderr) == (1, True)


def test_without_a_copy_there_is_no_way_back(tmp_path: Path) -> None:
    nanobot = Nanobot(folder=tmp_path)
    nanobot("chat", "hello")
    refused = nanobot("rollback", "--yes")
    assert (refused.returncode, "There is no copy of" in refused.stderr) == (1, True)


def test_a_backup_upgrades_nothing(tmp_path: Path) -> None:
    nanobot = Nanobot(folder=tmp_path)
    nanobot.home.mkdir()
    upgrade(f"sqlite:///{nanobot.home}/nanobot.db", OLD)
    refused = nanobot("backup", "file")
    assert refused.returncode == 1
    assert f"its revision is {OLD}, this version's is {HEAD}). Back it up with the version that runs" in refused.stderr
    assert revision(nanobot) == OLD
    assert not (tmp_path / "file").exists()
