"""`kill -9` in the middle of a backup or a restore, at any of its steps on the disk, leaves a whole state: the old one or the new one."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from assistant.store.staging import staging
from tests.flow.nanobot_process import LIMIT, Nanobot

from .filled import files_of, rows_of

STEPS = """
import os, signal, sys
last, count = sys.argv[1], 0
def step(event, arguments):
    global count
    wrote = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_CREAT | os.O_WRONLY | os.O_RDWR)
    if wrote or event in ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "shutil.rmtree", "subprocess.Popen"):
        count += 1
        if str(count) == last or ("/" in last and event == "os.rename" and str(arguments[0]).endswith(last)):
            os.kill(os.getpid(), signal.SIGKILL)
sys.dont_write_bytecode = True  # a module that is compiled for the first time is none of the steps
from assistant.cli import main
sys.argv = ["nanobot", *sys.argv[2:]]
sys.addaudithook(step)
try:
    main()
finally:
    print(count)
"""
"""Runs a command, and kills it before its step number `last`, or before a file with that path is renamed; else prints how many steps there are."""
PASSING = ("pulse", "channel_states", "channel_holds", "limit_uses")
State = tuple[dict[str, list[tuple[object, ...]]], dict[str, str]]


def state_of(nanobot: Nanobot) -> State:
    rows = rows_of(f"sqlite:///{nanobot.home / 'nanobot.db'}")
    return {name: each for name, each in rows.items() if name not in PASSING}, files_of(nanobot.home)


def run(nanobot: Nanobot, last: str, *arguments: str) -> tuple[int, str]:
    """(The exit code, the last line that was printed.)"""
    line = [sys.executable, "-c", STEPS, last, *arguments]
    done = subprocess.run(line, cwd=nanobot.folder, env=nanobot.environment, capture_output=True, text=True, timeout=LIMIT, check=False)
    return done.returncode, done.stdout.strip().rpartition("\n")[2]


@pytest.fixture(scope="module")
def backup(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, State]:
    nanobot = Nanobot(folder=tmp_path_factory.mktemp("backed-up"))
    nanobot("chat", "what is new")
    (nanobot.home / "workspace" / "new").write_text("new")
    assert nanobot("backup", "file").returncode == 0
    return nanobot.folder / "file", state_of(nanobot)


@pytest.fixture(scope="module")
def steps(tmp_path_factory: pytest.TempPathFactory, backup: tuple[Path, State]) -> int:
    """How many a restore has."""
    code, counted = run(used(tmp_path_factory.mktemp("counted")), "", "restore", "--force", str(backup[0]))
    assert (code, int(counted) > 40) == (0, True)
    return int(counted)


def used(folder: Path) -> Nanobot:
    nanobot = Nanobot(folder=folder)
    nanobot("chat", "what was there")
    (nanobot.home / "attachments" / "aa").mkdir(parents=True)
    (nanobot.home / "attachments" / "aa" / ("a" * 64)).write_text("old")
    return nanobot


@pytest.mark.parametrize("part", [0.1, 0.5, 0.8, 0.9, 1.0])
def test_a_killed_restore_leaves_one_of_two_whole_states(tmp_path: Path, backup: tuple[Path, State], steps: int, part: float) -> None:
    nanobot = used(tmp_path)
    old = state_of(nanobot)
    code, _ = run(nanobot, str(int(steps * part) - 1), "restore", "--force", str(backup[0]))
    assert code == -signal.SIGKILL
    assert nanobot("sessions", "list").returncode == 0  # completes it, or drops it
    assert not (nanobot.home / "restoring").exists()
    assert state_of(nanobot) in (old, backup[1])
    assert nanobot("restore", "--force", str(backup[0])).returncode == 0
    assert state_of(nanobot) == backup[1]


@pytest.mark.parametrize(
    ("place", "holds"),
    [
        ("restoring/plan.json.new", "old"),
        ("home/attachments", "new"),
        ("restoring/files/attachments", "new"),
        ("home/workspace", "new"),
        ("restoring/files/workspace", "new"),
        ("restoring/config/skills.lock.json", "new"),
    ],
)
def test_the_rows_decide_which_files_hold(tmp_path: Path, backup: tuple[Path, State], place: str, holds: str) -> None:
    """Killed before something is moved: the plan of the moves is the last thing before the rows are replaced, the first move the next thing after."""
    nanobot = used(tmp_path)
    old = state_of(nanobot)
    code, _ = run(nanobot, place, "restore", "--force", str(backup[0]))
    assert code == -signal.SIGKILL
    assert (nanobot.home / "restoring").exists()
    assert ("frozen: restored" in nanobot("deliveries", "list").stderr) == (holds == "new")
    assert not (nanobot.home / "restoring").exists()
    assert nanobot("sessions", "show", "api:cli").stdout.count("what was there" if holds == "old" else "what is new") == 1
    assert files_of(nanobot.home) == (old if holds == "old" else backup[1])[1]


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9, 1.0])
def test_a_killed_backup_leaves_no_file_that_looks_whole(tmp_path: Path, part: float) -> None:
    nanobot = Nanobot(folder=tmp_path)
    nanobot("chat", "hello")
    before = state_of(nanobot)
    code, counted = run(nanobot, "", "backup", "first")
    assert code == 0
    code, _ = run(nanobot, str(max(1, int(int(counted) * part) - 1)), "backup", "second")
    assert code == -signal.SIGKILL
    assert not (tmp_path / "second").exists()
    assert state_of(nanobot) == before
    assert nanobot("backup", "second").returncode == 0
    assert nanobot("backup", "--check", "second").returncode == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["first", "home", "second"]


def test_no_other_command_uses_the_store_while_it_is_restored(tmp_path: Path) -> None:
    nanobot = Nanobot(folder=tmp_path)
    nanobot("chat", "hello")
    with staging(nanobot.home):
        done = nanobot("sessions", "list")
    assert (done.returncode, done.stderr) == (1, "nanobot: A backup is being restored here. Wait until that has ended.\n")
    assert nanobot("sessions", "list").returncode == 0
