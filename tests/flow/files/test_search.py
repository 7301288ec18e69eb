"""Searching: by ripgrep and by ours, and within its time."""

import os
import shutil
import sys
import time
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from assistant.contracts.errors import ToolFailed
from tests.flow.files.conftest import CONTEXT, Hands, open_hands
from tools.files.search import SearchFiles, SearchFilesParams

RIPGREP = shutil.which("rg") or shutil.which("rg", path=os.path.dirname(sys.executable))


@pytest.fixture
async def hands(tmp_path: Path) -> AsyncGenerator[Hands]:
    async with open_hands(tmp_path) as hands:
        yield hands


@pytest.fixture(params=["ripgrep", "ours"])
def search(request: pytest.FixtureRequest, hands: Hands) -> SearchFiles:
    if request.param == "ripgrep" and not RIPGREP:
        pytest.skip("this machine has no ripgrep")
    return SearchFiles(hands.files, ripgrep=RIPGREP if request.param == "ripgrep" else "")


async def lines(search: SearchFiles, pattern: str, **more: object) -> str:
    return (await search.run(SearchFilesParams.model_validate({"pattern": pattern, **more}), CONTEXT)).text


@pytest.mark.parametrize(
    ("pattern", "more", "found"),
    [
        ("grün", {}, "a.txt\n  1: Grün\n[3 files searched.]"),
        ("grün", {"match_case": True}, "No line fits.\n[3 files searched.]"),
        ("^x[0-9]+$", {}, "sub/b.md\n  2: x12\n[3 files searched.]"),
        ("e", {"files": "*.md"}, "sub/b.md\n  1: one\n[1 file searched.]"),
        ("e", {"folder": "sub"}, "sub/b.md\n  1: one\n[1 file searched.]"),
        ("-v", {}, "c-v.txt\n  1: --no-v\n[3 files searched.]"),
        ("a:b", {}, "c-v.txt\n  2: a:b:c\n[3 files searched.]"),
        (r"\.", {"files": "none*"}, "No line fits.\n[0 files searched.]"),
    ],
)
async def test_lines_are_found(search: SearchFiles, hands: Hands, pattern: str, more: dict[str, object], found: str) -> None:
    (hands.own / "sub").mkdir()
    (hands.own / "a.txt").write_text("Grün\nrot\n")
    (hands.own / "sub" / "b.md").write_bytes(b"one\r\nx12\r\n")
    (hands.own / "c-v.txt").write_text("--no-v\na:b:c")
    (hands.own / "empty").touch()
    assert await lines(search, pattern, **more) == found


async def test_many_files_are_searched_and_binary_ones_are_not_shown(search: SearchFiles, hands: Hands) -> None:
    for number in range(250):
        (hands.own / f"{number:03}.txt").write_text(f"number {number}\n")
    (hands.own / "picture.png").write_bytes(b"\x89PNG\0number 7\n")
    (hands.own / "long.txt").write_text("number " + "x" * 100_000)
    found = await lines(search, "number (7|249|x)")
    assert "007.txt\n  1: number 7\n" in found
    assert "249.txt\n  1: number 249" in found
    assert "picture" not in found
    assert len(found) < 5_000
    assert "only the first 200 lines are shown" in await lines(search, "number")
    assert len(os.listdir("/proc/self/fd")) < 100


@pytest.mark.parametrize("pattern", ["(", "[a", "*x", "a{2,1}", "(?P<n>", "\\"])
async def test_a_pattern_that_is_not_valid_is_refused_in_words(search: SearchFiles, hands: Hands, pattern: str) -> None:
    (hands.own / "a.txt").write_text("x")
    with pytest.raises(ToolFailed, match="the pattern is not valid"):
        await lines(search, pattern)


async def test_a_pattern_that_takes_for_ever_is_stopped(hands: Hands, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.files.search._SECONDS", 1.0)
    (hands.own / "a.txt").write_text("a" * 5_000 + "!")
    began = time.monotonic()
    assert "0 files searched; stopped after 1 s" in await lines(SearchFiles(hands.files, ripgrep=""), "(a|a|aa)+$")
    assert time.monotonic() - began < 60


async def test_what_it_reads_is_what_was_checked(search: SearchFiles, hands: Hands, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("the safe")
    (hands.own / "link").symlink_to(tmp_path / "secret.txt")
    (hands.own / "folder").symlink_to(tmp_path)
    os.link(tmp_path / "secret.txt", hands.own / "second")
    os.mkfifo(hands.own / "pipe")
    assert await lines(search, "safe") == "No line fits.\n[0 files searched.]"
