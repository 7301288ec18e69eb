"""Tools that installed packages give."""

import logging
import sys
from pathlib import Path

import pytest

from assistant.app.installed import installed_tools

MODULE = """
class Dice:
    name = "dice"
    def __init__(self, workspace):
        self.workspace = workspace

class Again(Dice):
    pass

class Message(Dice):
    name = "message"

def broken(workspace):
    raise RuntimeError
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package with a tool that works, one of the same name, one of a name that is taken, one that fails, and one that is not there."""
    site = tmp_path / "site"
    (site / "games-1.0.dist-info").mkdir(parents=True)
    (site / "games-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: games\nVersion: 1.0\n")
    points = {"a": "Dice", "b": "Again", "c": "Message", "d": "broken", "e": "Missing"}
    lines = [f"{name} = games_of_a_test:{target}" for name, target in points.items()]
    (site / "games-1.0.dist-info" / "entry_points.txt").write_text("\n".join(["[nanobot.tools]", *lines, ""]))
    (site / "games_of_a_test.py").write_text(MODULE)
    monkeypatch.setattr(sys, "path", [str(site), *sys.path])


@pytest.mark.usefixtures("installed")
def test_a_tool_of_a_package_gets_the_workspace_and_what_fails_is_left_out_and_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        (tool,) = installed_tools(tmp_path, ["message"])
    assert (tool.name, vars(tool)["workspace"]) == ("dice", tmp_path)
    assert [line.split()[:2] for line in caplog.messages] == [
        ["tool.name_taken", "point=b"],
        ["tool.name_taken", "point=c"],
        ["tool.not_loaded", "point=d"],
        ["tool.not_loaded", "point=e"],
    ]


def test_without_such_packages_there_are_none(tmp_path: Path) -> None:
    assert installed_tools(tmp_path, []) == []
