"""The pages that are written from the code are as the code is."""

import re
from typing import Any

import pytest

from assistant.contracts.messages import Text, UserMessage
from assistant.contracts.models import ModelRequest, ToolSpec
from assistant.providers.offline import asked_for, asked_for_later
from docs.links import ROOT
from docs.made import MADE
from docs.made.commands import commands
from docs.made.errors import errors
from docs.made.examples import EXAMPLES, WITHOUT_A_MODEL
from docs.made.tools import tool_classes
from tools.catalog import own_kinds

_CODED = re.compile(r"^class (\w+)\(.*\b(?:status=|code=\")", re.MULTILINE)


@pytest.mark.parametrize("name", MADE)
def test_a_page_is_as_the_code_is(name: str) -> None:
    assert (ROOT / "docs" / name).read_text(encoding="utf-8") == MADE[name](), "run python -m docs.made"


def test_every_error_with_a_code_of_its_own_is_on_the_page() -> None:
    parts = [path for part in ("contracts", "api", "access", "inbound") for path in (ROOT / "assistant" / part).rglob("*.py")]
    coded = {name for path in parts for name in _CODED.findall(path.read_text(encoding="utf-8"))}
    assert len(coded) > 50
    assert coded - {error.__name__ for error in errors()} == set()


def test_every_tool_has_an_example_that_it_takes() -> None:
    assert EXAMPLES.keys() == tool_classes().keys() == {kind.name for kind in own_kinds()}
    for name, example in EXAMPLES.items():
        tool_classes()[name].params.model_validate(example.arguments)


@pytest.mark.parametrize("name", sorted(WITHOUT_A_MODEL))
def test_an_example_works_without_a_model(name: str) -> None:
    said = UserMessage(id="msg_1", parts=(Text(text=EXAMPLES[name].said),))
    tools = tool_classes().items()
    specs = tuple(ToolSpec(name=each, description="", parameters=tool.params.model_json_schema()) for each, tool in tools)
    request = ModelRequest(instructions=(), messages=(said,), tools=specs)
    call = asked_for(request) or asked_for_later(request)
    assert call is not None
    assert call.name == name
    params: Any = tool_classes()[name].params
    assert params.model_validate_json(call.arguments) == params.model_validate(EXAMPLES[name].arguments)


def test_every_command_is_on_the_page() -> None:
    page = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    headings = {tuple(words.split()) for words in re.findall(r"^##+ nanobot (.+)$", page, re.MULTILINE)}
    assert headings == commands().keys()
    assert len(headings) > 90
