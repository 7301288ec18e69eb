"""What a tool may take out of the workspace."""

import os
from pathlib import Path

import pytest

from assistant.contracts.errors import ToolFailed
from assistant.contracts.people import OWNER_ID
from tools.workspace import Workspace, folder_of, shared_of, shown_name


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "workspace"
    (root / "reports").mkdir(parents=True)
    (root / "reports" / "week.txt").write_text("all is well")
    (tmp_path / "secret.txt").write_text("keep out")
    return root


def taken(root: Path, path: str, most_bytes: int = 1000) -> str:
    with Workspace(root).copy(path, most_bytes, owner=OWNER_ID) as copy:
        return copy.read_text()


def refused(root: Path, path: str, most_bytes: int = 1000) -> str:
    with pytest.raises(ToolFailed) as caught, Workspace(root).copy(path, most_bytes, owner=OWNER_ID):
        pass
    return str(caught.value)


def test_a_file_is_taken_by_its_relative_and_by_its_absolute_path(root: Path) -> None:
    assert taken(root, "reports/week.txt") == taken(root, str(root / "reports" / "week.txt")) == "all is well"


def test_the_copy_is_gone_afterwards_and_later_changes_do_not_reach_it(root: Path) -> None:
    with Workspace(root).copy("reports/week.txt", 1000, owner=OWNER_ID) as copy:
        (root / "reports" / "week.txt").write_text("changed")
        assert copy.read_text() == "all is well"
    assert not copy.exists()


def test_a_link_within_the_workspace_may_be_followed(root: Path) -> None:
    (root / "latest").symlink_to("reports/week.txt")
    assert taken(root, "latest") == "all is well"


@pytest.mark.parametrize("path", ["USER.md", "./reports/../USER.md", "about"])
def test_what_lies_in_the_workspace_itself_is_taken_for_the_person_who_runs_the_server_alone(root: Path, path: str) -> None:
    (root / "USER.md").write_text("the safe opens with 4711")
    (root / "about").symlink_to("USER.md")
    assert taken(root, path) == "the safe opens with 4711"
    for owner in ("telegram:77", "telegram:-100500"):
        with pytest.raises(ToolFailed, match=r"There is no file|outside of"), Workspace(root).copy(path, 1000, owner=owner):
            pass


def test_a_persons_own_file_comes_first_and_nothing_of_another_person_is_taken(root: Path) -> None:
    for owner in (OWNER_ID, "telegram:77"):
        (folder_of(root, owner) / "a.txt").write_text(owner)
    (root / "a.txt").write_text("of the workspace")
    (shared_of(root) / "b.txt").write_text("common")
    assert taken(root, "a.txt") == taken(root, "/workspace/a.txt") == OWNER_ID
    assert taken(root, "shared/b.txt") == taken(root, str(root / "shared" / "b.txt")) == "common"
    with Workspace(root).copy("a.txt", 1000, owner="telegram:77") as copy:
        assert copy.read_text() == "telegram:77"
    (root / "link").symlink_to(f"people/{folder_of(root, 'telegram:77').name}/a.txt")
    for path in (f"people/{folder_of(root, 'telegram:77').name}/a.txt", str(folder_of(root, "telegram:77") / "a.txt"), "link"):
        assert "a person's folder" in refused(root, path)


@pytest.mark.parametrize(
    "path", ["../secret.txt", "reports/../../secret.txt", "/etc/passwd", "link.txt", "folder/secret.txt", "~/secret.txt/../../.."]
)
def test_nothing_outside_is_reached(root: Path, path: str) -> None:
    (root / "link.txt").symlink_to(root.parent / "secret.txt")
    (root / "folder").symlink_to(root.parent)
    assert "outside of the workspace" in refused(root, path)


def test_a_folder_that_begins_with_the_same_letters_is_outside(root: Path) -> None:
    (root.parent / "workspace-2").mkdir()
    (root.parent / "workspace-2" / "a.txt").write_text("x")
    assert "outside of the workspace" in refused(root, "../workspace-2/a.txt")


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("nothing.txt", "There is no file"),
        ("reports", "is not a file"),
        (".", "is not a file"),
        ("pipe", "is not a file"),
        ("circle", "There is no file"),
        ("empty.txt", "is empty"),
        ("", "is named by its path"),
        ("a\0b", "is named by its path"),
        ("x" * 5000, "is named by its path"),
        ("x" * 300, "name too long"),
    ],
)
def test_what_is_no_readable_file_is_refused_in_words(root: Path, path: str, words: str) -> None:
    os.mkfifo(root / "pipe")
    (root / "circle").symlink_to("circle")
    (root / "empty.txt").touch()
    assert words in refused(root, path)


def test_a_file_that_is_too_large_is_refused_by_what_it_holds(root: Path) -> None:
    assert refused(root, "reports/week.txt", 10) == "'reports/week.txt' is larger than 10 bytes, the most that can be sent."
    assert taken(root, "reports/week.txt", 11) == "all is well"


def test_the_receiver_sees_a_name_and_no_path() -> None:
    assert shown_name("reports/\u202eweek.txt") == "week.txt"


@pytest.mark.parametrize(
    "owner",
    [
        "telegram:42",
        "telegram:-42",
        "telegram 42",
        "../../etc",
        "/etc/passwd",
        "owner",
        "Owner",
        ".",
        "",
        "a\0b",
        "ü" * 300,
        "\ud800",
        "key:x",
    ],
)
def test_each_space_has_a_folder_of_its_own_below_the_workspace(root: Path, owner: str) -> None:
    others = {folder_of(root, each) for each in (OWNER_ID, "telegram:42 ", "telegram:421", "key:y")}
    folder = folder_of(root, owner)
    assert folder.parent == root / "people"
    assert folder.resolve() == folder
    assert folder not in others
    assert folder == folder_of(root, owner)
    assert folder.stat().st_mode & 0o777 == 0o700


def test_the_owners_folder_and_the_common_one_have_plain_names(root: Path) -> None:
    assert folder_of(root, OWNER_ID) == root / "people" / "owner"
    assert shared_of(root) == root / "shared"
    assert shared_of(root).stat().st_mode & 0o777 == 0o700
