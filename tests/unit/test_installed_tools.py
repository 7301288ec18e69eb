"""Tools that installed packages offer."""

import logging
import sys
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, cast

import pytest

from assistant.app.agent import check_tool_names, open_tools, tool_kinds
from assistant.config import ConfigError
from assistant.config.agents import AgentSettings
from assistant.contracts.tools import ToolKind, ToolServices
from assistant.contracts.util import Settings

MODULE = """
from assistant.contracts.util import Settings
from assistant.contracts.tools import ToolKind
from pydantic import BaseModel

class Roll(BaseModel):
    pass

class DiceSettings(Settings):
    sides: int = 6

class Dice:
    name = "dice"
    description = "Roll a die."
    params = Roll
    reads_only = True
    timeout = 1.0
    def __init__(self, settings, services):
        self.settings, self.services, self.closed = settings, services, 0
    async def close(self):
        self.closed += 1
        raise RuntimeError

def fail(settings, services):
    raise RuntimeError

DICE = ToolKind(name="dice", settings=DiceSettings, open=Dice)
MESSAGE = ToolKind(name="message", open=Dice)
BROKEN = ToolKind(name="broken", open=fail)
MISNAMED = ToolKind(name="another", open=Dice)
NO_KIND = Dice
"""
POINTS = {"dice": "DICE", "message": "MESSAGE", "broken": "BROKEN", "misnamed": "MISNAMED", "no_kind": "NO_KIND", "missing": "MISSING"}
OWN = ["list_attachments", "read_attachment", "run", "message", "remember", "recall", "forget", "search_history", "schedule"]
NO_SERVICES = cast("ToolServices", None)


@pytest.fixture
def kinds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mapping[str, ToolKind]:
    """Those of a package with a tool that works, one of a name that is taken, one that fails to open, and three that fail to load; without ours."""
    site = tmp_path / "site"
    (site / "games-1.0.dist-info").mkdir(parents=True)
    (site / "games-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: games\nVersion: 1.0\n")
    lines = [f"{name} = games_of_a_test:{target}" for name, target in POINTS.items()]
    (site / "games-1.0.dist-info" / "entry_points.txt").write_text("\n".join(["[nanobot.tools]", *lines, ""]))
    (site / "games_of_a_test.py").write_text(MODULE)
    monkeypatch.setattr(sys, "path", [str(site), *sys.path])
    found = tool_kinds()
    assert list(found) == [*OWN, "broken", "dice"]
    return {name: kind for name, kind in found.items() if name not in OWN}


def opened(
    kinds: Mapping[str, ToolKind], tools: tuple[str, ...] | None = None, stack: AsyncExitStack | None = None, **given: Settings
) -> list[Any]:
    return open_tools("defaults", AgentSettings(tools=tools), kinds, given, NO_SERVICES, stack or AsyncExitStack())


def test_what_fails_to_load_is_left_out_and_logged(caplog: pytest.LogCaptureFixture, request: pytest.FixtureRequest) -> None:
    with caplog.at_level(logging.ERROR):
        request.getfixturevalue("kinds")
    assert [line.split()[:2] for line in caplog.messages] == [
        ["tool.name_taken", "tool=message"],
        ["tool.not_loaded", "tool=misnamed"],
        ["tool.not_loaded", "tool=missing"],
        ["tool.not_loaded", "tool=no_kind"],
    ]


def test_a_tool_is_opened_with_its_settings_and_what_fails_to_open_is_left_out(
    kinds: Mapping[str, ToolKind], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        (tool,) = opened(kinds)
    assert (tool.name, tool.settings.sides) == ("dice", 6)
    assert [line.split()[:2] for line in caplog.messages] == [["tool.not_opened", "tool=broken"]]
    given = kinds["dice"].settings.model_validate({"sides": 20})
    assert [each.settings.sides for each in opened(kinds, ("dice",), dice=given)] == [20]


def test_an_agent_that_names_a_tool_gets_it_or_an_error(kinds: Mapping[str, ToolKind]) -> None:
    check_tool_names("defaults", AgentSettings(tools=("dice", "broken")), kinds)
    with pytest.raises(ConfigError, match=r"agents\.beta\.tools: there is no tool \"cards\"; there are: broken, dice"):
        check_tool_names("beta", AgentSettings(tools=("cards",)), kinds)
    with pytest.raises(ConfigError, match=r"agents\.defaults\.tools: the tool \"broken\" does not open \(RuntimeError\)"):
        opened(kinds, ("broken",))


async def test_every_tool_is_closed_though_one_fails_to(kinds: Mapping[str, ToolKind], caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        async with AsyncExitStack() as stack:
            tools = [opened(kinds, ("dice",), stack)[0], opened(kinds, ("dice",), stack)[0]]
            tools[1].name = "dice_2"
    assert [tool.closed for tool in tools] == [1, 1]
    assert [line.split()[:2] for line in caplog.messages] == [["tool.not_closed", "tool=dice_2"], ["tool.not_closed", "tool=dice"]]


async def test_where_a_tool_does_not_open_those_opened_before_are_closed(
    kinds: Mapping[str, ToolKind], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR), pytest.raises(ConfigError, match="does not open"):
        async with AsyncExitStack() as stack:
            opened(kinds, ("dice", "broken"), stack)
    assert [line.split()[:2] for line in caplog.messages] == [["tool.not_opened", "tool=broken"], ["tool.not_closed", "tool=dice"]]


def test_without_such_packages_there_are_our_own() -> None:
    assert list(tool_kinds()) == OWN
