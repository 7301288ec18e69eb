"""What changes while it is used: folders that become links, other writers, a process that is killed, a folder that is full."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.flow.files.conftest import ANNA, Hands, Home, open_hands
from tools.files.space import open_found, sweep
from tools.workspace import remove_folders

_ROOT = Path(__file__).parents[3]
_FLIP = """
import os, sys
folder, out = sys.argv[1:]
os.chdir(folder)
print("on", flush=True)
while True:
    os.rename("sub", "kept"); os.symlink(out, "sub")
    os.unlink("sub"); os.rename("kept", "sub")
"""
_WRITE = """
import asyncio, sys
from pathlib import Path
from assistant.contracts.people import UnknownPeople
from tools.files.space import SpaceFiles
async def main():
    files = SpaceFiles(Path(sys.argv[1]), UnknownPeople())
    place = await files.place("shared/big.txt", "local")
    print("on", flush=True)
    for number in range(10**9):
        files.update(place, lambda there: str(number % 10).encode() * 1_000_000)
asyncio.run(main())
"""


@contextmanager
def running(script: str, *arguments: str) -> Generator[subprocess.Popen[bytes]]:
    line = [sys.executable, "-c", script, *arguments]
    with subprocess.Popen(line, stdout=subprocess.PIPE, cwd=_ROOT, env={**os.environ, "PYTHONPATH": str(_ROOT)}) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == b"on\n"
            yield process
        finally:
            process.kill()


async def test_a_folder_that_becomes_a_link_again_and_again_leads_nowhere(hands: Hands, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "a.txt").write_text("the safe opens with 4711")
    (hands.own / "sub").mkdir()
    (hands.own / "sub" / "a.txt").write_text("harmless")
    with running(_FLIP, str(hands.own), str(out)):
        for number in range(60):
            await hands.use("read_file", path="sub/a.txt")
            await hands.use("write_file", path=f"sub/new/{number}.txt", content="x")
            await hands.use("edit_file", path="sub/a.txt", old="the safe", new="gone")
            await hands.use("delete_file", path=f"sub/new/{number}.txt")
            await hands.use("write_file", path=f"{number}.txt", content="x")
            await hands.use("move_file", path=f"{number}.txt", to=f"sub/{number}.txt")
            await hands.use("move_file", path="sub/a.txt", to=f"was-{number}.txt")
            await hands.use("move_file", path=f"was-{number}.txt", to="sub/a.txt")
            if not number % 10:
                await hands.use("search_files", pattern="safe|harm")
                await hands.use("list_files", depth=5)
                await hands.use("find_files", pattern="*.txt")
    assert not any("4711" in message.text or "fault of its own" in message.text for message in hands.done)
    assert {message.name for message in hands.done if message.ok} > {"write_file", "move_file", "list_files"}
    assert [path.name for path in out.iterdir()] == ["a.txt"]
    assert (out / "a.txt").read_text() == "the safe opens with 4711"


async def test_two_who_change_a_file_at_once_lose_nothing(hands: Hands) -> None:
    await hands.said("write_file", path="shared/count.txt", content="")
    calls = [
        hands.use("write_file", owner, path="shared/count.txt", content=f"{number}\n", mode="append")
        for number in range(30)
        for owner in ("local", ANNA)
    ]
    assert all(message.ok for message in await asyncio.gather(*calls))
    assert sorted((hands.shared / "count.txt").read_text().split()) == sorted(str(number) for number in range(30) for _ in range(2))


async def test_of_many_who_create_or_take_a_file_one_does(hands: Hands) -> None:
    made = await asyncio.gather(*[hands.use("write_file", path="shared/one.txt", content=str(number)) for number in range(12)])
    assert sum(message.ok for message in made) == 1
    moved = await asyncio.gather(*[hands.use("move_file", path="shared/one.txt", to=f"{number}.txt") for number in range(12)])
    assert sum(message.ok for message in moved) == 1
    await asyncio.gather(*[hands.use("move_file", path=f"{number}.txt", to="shared/one.txt") for number in range(12)])
    assert [path.name for path in hands.shared.iterdir()] == ["one.txt"]


async def test_a_process_that_is_killed_leaves_whole_files_and_no_lock(hands: Hands) -> None:
    for _ in range(4):
        with running(_WRITE, str(hands.workspace)) as process:
            await asyncio.to_thread(_until_written, hands.shared / "big.txt")
            process.send_signal(signal.SIGKILL)
            await asyncio.to_thread(process.wait)
        held = (hands.shared / "big.txt").read_bytes()
        assert len(held) == 1_000_000
        assert len(set(held)) == 1
        await hands.said("write_file", path="shared/big.txt", content="mine", mode="overwrite")
    left = [path for path in hands.shared.iterdir() if path.name.startswith(".nanobot-")]
    assert await hands.said("list_files", folder="shared") == (await hands.said("list_files", folder="shared"))
    for path in left:
        os.utime(path, (0, 0))
    await asyncio.to_thread(sweep, hands.workspace, datetime.now(UTC))
    assert [path.name for path in hands.shared.iterdir()] == ["big.txt"]


def _until_written(file: Path) -> None:
    ready = threading.Event()
    while not file.exists() or file.stat().st_size < 1_000:
        ready.wait(0.001)


async def test_a_full_folder_takes_no_more(tmp_path: Path) -> None:
    async with open_hands(tmp_path, quota=10_000) as hands:
        await hands.said("write_file", path="a.txt", content="x" * 6_000)
        assert "may hold 10.0 kB (files.quotaMib)" in await hands.refused("write_file", path="b.txt", content="x" * 6_000)
        await hands.said("write_file", path="a.txt", content="x" * 9_000, mode="overwrite")
        await hands.said("write_file", path="shared/b.txt", content="x" * 6_000)
        assert "may hold" in await hands.refused("move_file", path="a.txt", to="shared/a.txt")
        await hands.said("delete_file", path="a.txt")
        assert "counts for 7 days" in await hands.refused("write_file", path="b.txt", content="x" * 6_000)
        await hands.said("write_file", ANNA, path="a.txt", content="x" * 6_000)


@pytest.mark.parametrize(("days", "left"), [(0, True), (7, True), (8, False), (400, False)])
async def test_what_was_deleted_is_kept_for_seven_days(hands: Hands, days: int, left: bool, tmp_path: Path) -> None:
    (tmp_path / "kept.txt").write_text("outside")
    for path in ("a/b.txt", "shared/c.txt"):
        await hands.said("write_file", path=path, content="x")
        await hands.said("delete_file", path=path)
    today = next((hands.own / ".trash").iterdir())
    (today / "link").symlink_to(tmp_path)
    (hands.own / ".trash" / "no day").mkdir()
    day = datetime.fromisoformat(today.name).replace(tzinfo=UTC)
    assert await asyncio.to_thread(sweep, hands.workspace, day + timedelta(days=days, hours=1)) == (0 if left else 2)
    assert (today / "a" / "b.txt").exists() == left
    assert list((hands.shared / ".trash").rglob("c.txt")) != [] or not left
    assert (tmp_path / "kept.txt").read_text() == "outside"
    assert (hands.own / ".trash" / "no day").exists()


async def test_what_a_chat_had_before_it_was_joined_to_a_person_is_in_their_folder(hands: Hands) -> None:
    await hands.said("write_file", ANNA, path="notes.txt", content="Anna's")
    home = hands.files.people
    assert isinstance(home, Home)
    home.joined["local"] = ("local", ANNA, "discord:never-seen")
    found = await hands.said("find_files", pattern="notes.txt")
    assert found.startswith("telegram-42-")
    assert "Anna's" in await hands.said("read_file", path=found.split(" · ")[0])
    remove_folders(hands.workspace, "local", ("local", ANNA))
    assert [path for path in (hands.workspace / "people").iterdir() if path.is_dir()] == []


async def test_a_folder_that_becomes_a_link_while_it_is_walked_is_not_entered(hands: Hands, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "secret.txt").write_text("x")
    (hands.own / "sub").mkdir()
    (hands.own / "z.txt").write_text("x")
    met: list[tuple[str, ...]] = []
    for found in hands.files.walk(await hands.files.place(".", "local"), 5):
        met.append(found.steps)
        if found.steps == ("sub",):
            (hands.own / "sub").rmdir()
            (hands.own / "sub").symlink_to(tmp_path / "out")
        if found.steps == ("z.txt",):
            (hands.own / "z.txt").unlink()
            (hands.own / "z.txt").symlink_to(tmp_path / "out" / "secret.txt")
            assert open_found(found) is None
    assert met == [("sub",), ("z.txt",)]
