"""Rules for the whole product: the form of a log line, where everything is caught, and pages that name real files."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TypeGuard

import pytest

from tests.budgets import PRODUCT, ROOT

SOURCES = [path for folder in PRODUCT for path in sorted((ROOT / folder).rglob("*.py"))]


@cache
def nodes_of(path: Path) -> list[ast.AST]:
    """The functions, calls and handlers in a file."""
    kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.Call | ast.ExceptHandler
    return [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, kinds)]


LOGS = {"debug", "info", "warning", "error", "exception", "critical", "log"}
EVENT = re.compile(r"[a-z]+\.[a-z_]+( [a-z]+=%[ds.\df]+)*")
CATCH_ALL = {
    "assistant/documents/formats/attached.py",  # a damaged file that is attached must not hide the mail
    "assistant/documents/formats/office/sheets.py",  # what openpyxl raises for damaged files: they are refused as such
    "assistant/documents/formats/pictures.py",  # a damaged picture must not hide the text
    "assistant/agent/toolbox.py",  # a tool's bug becomes a message to the model
    "assistant/api/middleware/errors.py",  # a bug behind a request becomes an answer
    "assistant/app/agent.py",  # a package's tool that fails is left out
    "assistant/app/services.py",  # an adapter that fails to open leaves its channel stopped and the server running
    "assistant/config/extensions.py",  # neither a package that fails to import nor a fault of one kind of channel ends a start or a delivery
    "assistant/delivery/dispatcher.py",  # a failed scan or renewal must not end the loop
    "assistant/delivery/holds.py",  # a bug in a look must not end the looking: channels would be held, and run by none
    "assistant/delivery/sender.py",  # an adapter's bug is settled as an outcome of its event
    "assistant/delivery/supervisor.py",  # an adapter's bug ends one run of it, nothing else
    "assistant/store/database.py",  # what a job raised is passed on to its caller
    "assistant/turns/direct.py",  # whatever ends a call is passed on to its caller
    "assistant/workflows/running.py",  # a bug must leave a job ended and recorded as failed
    "assistant/turns/handle.py",  # an end that could not be stored is passed on to the turn's listeners
    "assistant/turns/service.py",  # whatever ends a turn is settled in its session
    "assistant/memory/vectors.py",  # a bug must not end the task that makes vectors
    "assistant/memory/learning.py",  # a bug in learning costs no one an answer
    "assistant/schedule/runs.py",  # a bug in one occurrence ends it as failed, and the others go their way
    "assistant/schedule/service.py",  # a bug in a look at what is due must not end the sleeper
    "assistant/testing/channel_in.py",  # the suite runs a channel as the supervisor does: again, whatever ended it
    "channels/email/adapter.py",  # a mail that can't be read must not hide those behind it
    "channels/matrix/keys.py",  # what a file of keys that can't be opened raises becomes the channel's failure
    "assistant/mcp/link.py",  # whatever a server does ends its own connection only
    "assistant/mcp/login.py",  # why a login failed is told to the person
    "assistant/documents/formats/webpage.py",  # what the extractor can't do is read whole
    "assistant/tasks/service.py",  # a bug in one task ends it as failed, and the others go their way
    "assistant/turns/compaction.py",  # a bug in a summary leaves the session as it was
}


def nodes_of_the_program() -> Iterator[tuple[str, ast.AST]]:
    for path in SOURCES:
        yield from ((str(path.relative_to(ROOT)), node) for node in nodes_of(path))


def is_log(node: ast.AST) -> TypeGuard[ast.Call]:
    """Whether it is `log.info(…)`, or of another level."""
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Name(id="log"), attr=level)):
            return level in LOGS
        case _:
            return False


def test_a_log_line_is_an_event_and_its_values() -> None:
    events = [
        (name, next(arg.value for arg in node.args if isinstance(arg, ast.Constant)))
        for name, node in nodes_of_the_program()
        if is_log(node)
    ]
    assert events
    assert [(name, event) for name, event in events if not EVENT.fullmatch(str(event))] == []


def test_everything_is_caught_in_few_places_only() -> None:
    caught = {
        name
        for name, node in nodes_of_the_program()
        if isinstance(node, ast.ExceptHandler) and (node.type is None or re.search(r"\bException\b", ast.unparse(node.type)))
    }
    assert caught == CATCH_ALL


@pytest.mark.parametrize("page", ["docs/architecture.md", "docs/decisions.md", "CONTRIBUTING.md", "README.md"])
def test_what_a_page_names_is_there(page: str) -> None:
    named = re.findall(r"`([a-z_]+/[\w./-]*)`", (ROOT / page).read_text(encoding="utf-8"))
    assert [name for name in named if not (ROOT / name).exists() and not (ROOT / "assistant" / name).exists()] == []
