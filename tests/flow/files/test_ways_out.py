"""Ways out of a person's folder, each tried with every tool: nothing of others is shown, and nothing outside is changed."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.flow.files.conftest import ANNA, CONTEXT, GUEST, Hands
from tools.workspace import folder_of

SECRET = "the safe opens with 4711"
ANNAS = folder_of(Path("/w"), ANNA).name

OUT = [
    "../secret.txt", "../../secret.txt", "../../../secret.txt", "x/../../../secret.txt", "./../secret.txt", "..", "../", ".. /secret.txt",
    "/etc/passwd", "//etc/passwd", "/proc/self/environ", "/proc/self/root/etc/passwd", "/dev/fd/0", "~/secret.txt", "~root/secret.txt",
    f"../{ANNAS}/diary.txt", f"people/{ANNAS}/diary.txt", f"../people/{ANNAS}/diary.txt", f"PEOPLE/{ANNAS}/diary.txt",
    f"shared/../people/{ANNAS}/diary.txt", "shared/../../secret.txt", "shared/link-to-root/secret.txt", "shared/link-to-diary",
    "link-to-secret", "link-to-root", "link-to-root/secret.txt", "link-to-root/workspace/AGENTS.md", "link-to-annas/diary.txt", "link-to-annas",
    "deep/link-to-root/secret.txt", "link-to-link", "circle", "circle/x", "link-to-self-root/etc/passwd", "link-to-fd",
    "dangling", "dangling/new.txt",
    "second-name", "shared/second-name", "/workspace/../secret.txt", "/workspace/link-to-secret", "/workspace/../../etc/passwd",
    "/workspaces/secret.txt", "file:///etc/passwd", "..\\..\\secret.txt", "..%2f..%2fsecret.txt", "..\u2215secret.txt", "\u202e../secret.txt",
    "secret.txt\0.md", "\0",
    "a\0/../../secret.txt", "a/./././../../../secret.txt", "...", "... /x", "a.", "a ", "x" * 256, "é" * 128, "a/" * 41 + "b",
    "x/" * 2_000, "\ud800", "\n/../secret.txt", "\u200f", "AGENTS.md/../../../secret.txt", ".trash/../../secret.txt", ".trash/link-to-secret",
    ".trash/2026-01-01/link-to-root/secret.txt", "pipe", "C:\\secret.txt", "${HOME}/secret.txt", "$(cat /etc/passwd)", "`id`", "*", "owner/../x",
]  # fmt: skip
CALLS: Mapping[str, list[dict[str, object]]] = {
    "list_files": [{"folder": "PATH", "depth": 8}],
    "find_files": [{"folder": "PATH", "pattern": "*"}, {"pattern": "PATH"}],
    "search_files": [{"folder": "PATH", "pattern": "safe|root:|PATH="}, {"pattern": "safe", "files": "PATH"}],
    "read_file": [{"path": "PATH"}],
    "write_file": [{"path": "PATH", "content": "x", "mode": mode} for mode in ("create", "overwrite", "append")],
    "edit_file": [{"path": "PATH", "old": "safe", "new": "lost", "all": True}],
    "move_file": [{"path": "PATH", "to": "got.txt"}, {"path": "mine.txt", "to": "PATH"}, {"path": "mine.txt", "to": "PATH/"}],
    "delete_file": [{"path": "PATH"}],
}


@pytest.fixture
def planted(hands: Hands, tmp_path: Path) -> Hands:
    """What a command in the sandbox may have left in the folders, and what it leads to."""
    (tmp_path / "secret.txt").write_text(SECRET)
    (hands.workspace / "AGENTS.md").write_text(f"Be kind; {SECRET}.")
    (hands.annas / "diary.txt").write_text(SECRET)
    own = hands.own
    (own / "mine.txt").write_text("mine")
    (own / "deep").mkdir()
    (own / ".trash" / "2026-01-01").mkdir(parents=True)
    links = {
        "link-to-secret": tmp_path / "secret.txt", "link-to-root": tmp_path, "link-to-annas": hands.annas, "deep/link-to-root": Path("../../../.."),
        "link-to-link": Path("link-to-secret"),
        "circle": Path("circle"), "link-to-self-root": Path("/proc/self/root"), "link-to-fd": Path("/proc/self/fd"),
        "dangling": tmp_path / "made-through-a-link", ".trash/link-to-secret": tmp_path / "secret.txt", ".trash/2026-01-01/link-to-root": tmp_path,
    }  # fmt: skip
    for name, target in links.items():
        (own / name).symlink_to(target)
    (hands.shared / "link-to-root").symlink_to(tmp_path)
    (hands.shared / "link-to-diary").symlink_to(hands.annas / "diary.txt")
    os.link(tmp_path / "secret.txt", own / "second-name")
    os.link(tmp_path / "secret.txt", hands.shared / "second-name")
    os.mkfifo(own / "pipe")
    return hands


def outside(folder: Path, hands: Hands) -> dict[str, object]:
    """All that is in no folder of those who try it."""
    found: dict[str, object] = {}
    theirs = (hands.own, folder_of(hands.workspace, GUEST), hands.shared, folder / "home")
    for path in sorted(folder.rglob("*")):
        if not any(path.is_relative_to(each) for each in theirs):
            found[str(path)] = path.read_bytes() if path.is_file() else None
    return {name: held for name, held in found.items() if not name.endswith(".lock")}


@pytest.mark.parametrize("tool", CALLS)
async def test_no_path_leads_out(planted: Hands, tool: str, tmp_path: Path) -> None:
    before = outside(tmp_path, planted)
    tried = 0
    for path in OUT:
        for arguments in CALLS[tool]:
            given = {key: value.replace("PATH", path) if isinstance(value, str) else value for key, value in arguments.items()}
            for owner in (CONTEXT.owner, GUEST):
                message = await planted.use(tool, owner, **given)
                tried += 1
                assert "fault of its own" not in message.text, given
                assert "4711" not in message.text.replace(f"Be kind; {SECRET}", ""), given
                assert "root:" not in message.text, given
                assert outside(tmp_path, planted) == before, given
            if not (planted.own / "mine.txt").exists():
                (planted.own / "mine.txt").write_text("mine")
    assert tried >= 2 * len(OUT)
    assert not (tmp_path / "made-through-a-link").exists()


@pytest.mark.parametrize(
    "path", [path for path in OUT if path.startswith((".", "/", "link", "shared/", "people", "second", "\0", "x/", "circle"))]
)
@pytest.mark.parametrize("tool", ["read_file", "edit_file", "list_files"])
async def test_they_are_refused_in_words(planted: Hands, tool: str, path: str) -> None:
    arguments: dict[str, object] = {"folder": path} if tool == "list_files" else {"path": path}
    more = {"old": "a", "new": "b"} if tool == "edit_file" else {}
    assert len(await planted.refused(tool, **arguments, **more)) < 5_000


async def test_a_link_is_deleted_and_what_it_leads_to_stays(planted: Hands, tmp_path: Path) -> None:
    await planted.said("delete_file", path="link-to-root")
    await planted.said("delete_file", path="second-name")
    assert (tmp_path / "secret.txt").read_text() == SECRET
    assert not (planted.own / "link-to-root").is_symlink()


async def test_a_trash_that_is_a_link_takes_nothing_in(planted: Hands, tmp_path: Path) -> None:
    (planted.shared / ".trash").symlink_to(tmp_path)
    (planted.shared / "a.txt").write_text("x")
    assert "link" in await planted.refused("delete_file", path="shared/a.txt")
    assert (planted.shared / "a.txt").exists()
