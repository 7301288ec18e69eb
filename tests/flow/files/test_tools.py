"""What the file tools do, as the model reads it."""

import os
import socket
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from assistant.contracts.effects import Effect

from .conftest import ANNA, GUEST, Hands


async def test_a_file_is_written_listed_found_searched_read_edited_moved_and_deleted(hands: Hands) -> None:
    assert await hands.said("write_file", path="notes/week.md", content="milk\nbread\nmilk\n") == "Written: notes/week.md, 16 bytes."
    assert (hands.own / "notes" / "week.md").stat().st_mode & 0o777 == 0o600
    assert hands.done[-1].effects == (Effect(kind="written", text="written · notes/week.md (16 bytes)", ref="notes/week.md"),)
    os.utime(hands.own / "notes" / "week.md", (1_780_000_000, 1_780_000_000))
    assert await hands.said("list_files", depth=2) == "notes/\nnotes/week.md · 16 bytes · 2026-05-28 22:26"
    assert await hands.said("find_files", pattern="WEEK*") == "notes/week.md · 16 bytes · 2026-05-28 22:26"
    assert await hands.said("search_files", pattern="^MILK") == "notes/week.md\n  1: milk\n  3: milk\n[1 file searched.]"
    read = await hands.said("read_file", path="./notes//week.md")
    assert read == "[./notes//week.md: from line 1, of 16 characters in all]\nmilk\nbread\nmilk\n\n[End of the file.]"
    assert "2 times, at line 1, 3" in await hands.refused("edit_file", path="notes/week.md", old="milk", new="tea")
    edited = await hands.said("edit_file", path="notes/week.md", old="bread\nmilk", new="bread\ntea")
    assert edited == "Edited: notes/week.md.\n@@ line 2 @@\n milk\n-bread\n-milk\n+bread\n+tea"
    await hands.said("edit_file", path="notes/week.md", old="e", new="E", all=True)
    assert await hands.said("move_file", path="notes/week.md", to="old/") == "Moved: notes/week.md is old/week.md now."
    assert (hands.own / "old" / "week.md").read_text() == "milk\nbrEad\ntEa\n"
    told = await hands.said("delete_file", path="old")
    trash = told.rpartition(" as ")[2].rstrip(".")
    assert hands.done[-1].effects == (Effect(kind="deleted", text="deleted · old (kept for 7 days)", ref="old"),)
    assert trash.startswith(".trash/20")
    assert await hands.said("list_files") == "notes/"
    await hands.said("move_file", path=f"{trash}/week.md", to="back.md")
    assert (hands.own / "back.md").read_text() == "milk\nbrEad\ntEa\n"


async def test_a_file_is_not_replaced_unless_that_is_asked(hands: Hands) -> None:
    await hands.said("write_file", path="a.txt", content="one")
    assert "already: mode overwrite" in await hands.refused("write_file", path="a.txt", content="two")
    await hands.said("write_file", path="a.txt", content=" two", mode="append")
    await hands.said("write_file", path="b.txt", content="b", mode="append")
    assert "already" in await hands.refused("move_file", path="b.txt", to="a.txt")
    assert (hands.own / "a.txt").read_text() == "one two"
    await hands.said("write_file", path="a.txt", content="three", mode="overwrite")
    assert (hands.own / "a.txt").read_text() == "three"
    await hands.said("write_file", path="d/e.txt", content="x")
    assert "not a file" in await hands.refused("write_file", path="d", content="x", mode="overwrite")
    assert "into itself" in await hands.refused("move_file", path="d", to="d/f/g")


async def test_what_is_deleted_twice_under_one_name_is_kept_twice(hands: Hands) -> None:
    for text in ("one", "two", "three"):
        await hands.said("write_file", path="x/a.txt", content=text)
        await hands.said("delete_file", path="x/a.txt")
    await hands.said("delete_file", path="x")
    kept = [path.read_text() for path in (hands.own / ".trash").rglob("a.txt")]
    assert sorted(kept) == ["one", "three", "two"]
    listed = await hands.said("find_files", pattern="a.txt", folder=".trash")
    assert listed.count("a.txt") == 3
    assert "No file is called" in await hands.said("find_files", pattern="a.txt")


async def test_each_person_has_a_folder_and_the_common_one_is_common(hands: Hands) -> None:
    await hands.said("write_file", path="diary.txt", content="mine")
    await hands.said("write_file", ANNA, path="diary.txt", content="Anna's")
    await hands.said("write_file", ANNA, path="shared/list.txt", content="milk")
    assert "mine" in await hands.said("read_file", path="diary.txt")
    assert "Anna's" in await hands.said("read_file", ANNA, path="diary.txt")
    assert "milk" in await hands.said("read_file", path="shared/list.txt")
    assert "shared/" in await hands.said("list_files")
    assert "shared/list.txt" in await hands.said("find_files", pattern="*.txt", folder="shared")
    assert (await hands.said("search_files", ANNA, pattern="mine|Anna")).count(":") == 1
    await hands.said("move_file", path="diary.txt", to="shared/diary.txt")
    assert "mine" in await hands.said("read_file", ANNA, path="Shared/diary.txt")
    told = await hands.said("delete_file", ANNA, path="shared/list.txt")
    assert " shared/.trash/" in told
    for tool, more in (
        ("read_file", {"path": "shared/diary.txt"}),
        ("list_files", {"folder": "./SHARED"}),
        ("delete_file", {"path": "shared/diary.txt"}),
    ):
        assert "guests have no part in" in await hands.refused(tool, GUEST, **more)
    assert "shared/" in await hands.said("list_files")
    assert "shared/" not in await hands.said("list_files", GUEST)


async def test_what_the_owner_had_in_the_workspace_itself_is_read_and_not_changed(hands: Hands) -> None:
    (hands.workspace / "AGENTS.md").write_text("Be kind.")
    (hands.workspace / "old.txt").write_text("of old")
    (hands.workspace / "reports").mkdir()
    assert "[In the workspace itself, to be read: old.txt, reports]" in await hands.said("list_files")
    assert "Be kind." in await hands.said("read_file", path="AGENTS.md")
    assert "There is no file" in await hands.refused("read_file", ANNA, path="AGENTS.md")
    assert "There is no file" in await hands.refused("edit_file", path="AGENTS.md", old="kind", new="cruel")
    assert "There is no file" in await hands.refused("delete_file", path="AGENTS.md")
    await hands.said("write_file", path="AGENTS.md", content="a file like any other")
    assert (hands.workspace / "AGENTS.md").read_text() == "Be kind."


@pytest.mark.parametrize(
    ("lines", "asked", "shown", "onward"),
    [
        (50_000, {}, "\nline 0\n", 'read_file(path="a.txt", line=1612) goes on.'),
        (50_000, {"line": 1722}, "\nline 1721\n", 'read_file(path="a.txt", line=3222) goes on.'),
        (50_000, {"line": 49_999}, "\nline 49998\nline 49999\n", "End of the file."),
        (2, {"offset": 3}, "\ne 0\n", "End of the file."),
        (2, {"limit": 3}, "\nlin\n", "line=1, offset=3) goes on."),
        (2, {"line": 2, "limit": 3}, "\nlin\n", "line=2, offset=3) goes on."),
    ],
)  # fmt: skip
async def test_a_long_file_is_read_in_pages(hands: Hands, lines: int, asked: dict[str, Any], shown: str, onward: str) -> None:
    (hands.own / "a.txt").write_text("".join(f"line {number}\n" for number in range(lines)))
    page = await hands.said("read_file", path="a.txt", **asked)
    assert shown in page
    assert onward in page
    assert "beyond its end" in await hands.refused("read_file", path="a.txt", line=lines + 2)


async def test_all_pages_together_are_the_file(hands: Hands) -> None:
    text = "".join(f"{'x' * (number * 37 % 20_000)}\n" for number in range(12))
    (hands.own / "a.txt").write_text(text)
    read, line, offset = "", 1, 0
    for _ in range(50):
        page = await hands.said("read_file", path="a.txt", line=line, offset=offset)
        _, _, rest = page.partition("\n")
        body, _, tail = rest.rpartition("\n[")
        read += body
        if tail.startswith("End"):
            break
        words = dict(each.split("=") for each in tail.partition("(")[2].partition(")")[0].split(", ")[1:])
        line, offset = int(words["line"]), int(words.get("offset", 0))
    assert read == text


async def test_a_text_with_carriage_returns_is_edited_by_lines_without_them(hands: Hands) -> None:
    (hands.own / "dos.txt").write_bytes("\ufeffone\r\ntwo\r\nthree\r\n".encode())
    await hands.said("edit_file", path="dos.txt", old="one\ntwo", new="1\n2")
    assert (hands.own / "dos.txt").read_bytes() == "\ufeff1\r\n2\r\nthree\r\n".encode()
    (hands.own / "latin.txt").write_bytes("süß".encode("latin-1"))
    assert "no UTF-8 text" in await hands.refused("edit_file", path="latin.txt", old="s", new="z")
    assert "süß" in await hands.said("read_file", path="latin.txt")


async def test_what_is_too_large_is_refused(hands: Hands, tmp_path: Path) -> None:
    with (hands.own / "huge.txt").open("wb") as file:
        file.truncate(10 * 1024**2 + 1)
    (hands.own / "text.txt").write_bytes(b"x" * (10 * 1024**2 + 1))
    with (hands.own / "sparse").open("wb") as file:
        file.truncate(50 * 1024**3)
    assert "larger than" in await hands.refused("read_file", path="text.txt")
    assert "larger than" in await hands.refused("read_file", path="sparse")
    assert "larger than" in await hands.refused("edit_file", path="text.txt", old="x", new="y")
    assert "at most 5.2 MB can be written" in await hands.refused("write_file", path="n", content="ä" * 3 * 1024**2)
    (hands.own / "half").write_bytes(b"y" * 5 * 1024**2)
    assert "at most" in await hands.refused("write_file", path="half", content="y", mode="append")
    await hands.said("write_file", path="sparse", content="small now", mode="overwrite")


async def test_what_is_no_file_is_shown_and_left_alone(hands: Hands) -> None:
    os.mkfifo(hands.own / "pipe")
    (hands.own / "link").symlink_to("/etc/passwd")
    (hands.own / "odd\u202ename\n.txt").write_text("x")
    on_this_disk = os.environ.get("PYTEST_DEBUG_TEMPROOT")
    with TemporaryDirectory(dir=on_this_disk) as short, socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"{short}/s")
        os.rename(f"{short}/s", hands.own / "socket")
        listed = await hands.said("list_files")
    assert listed.count("neither file nor folder") == 3
    assert "odd\\u202ename\\n.txt · 1 bytes" in listed
    for name in ("pipe", "socket", "link"):
        assert await hands.refused("read_file", path=name)
        assert await hands.refused("write_file", path=name, content="x", mode="overwrite")
        assert await hands.refused("edit_file", path=name, old="x", new="y")
        assert await hands.refused("move_file", path=name, to="elsewhere")
        await hands.said("delete_file", path=name)
    assert os.stat("/etc/passwd").st_size
