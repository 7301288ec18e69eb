"""The house's own rules: how long a file and a function may be, what a log line looks like, and where everything is caught.

(The import law is checked by `make lint`.)
"""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TypeGuard

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("assistant", "channels", "tools", "tests", "bench", "examples")
FILE_LINES = 400
FUNCTION_LINES = 60
SOURCES = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]


@cache
def nodes_of(path: Path) -> list[ast.AST]:
    """The functions, calls and handlers in a file."""
    kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.Call | ast.ExceptHandler
    return [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, kinds)]


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_files_and_functions_of_a_folder_are_short(folder: str) -> None:
    files = [path for path in SOURCES if path.is_relative_to(ROOT / folder)]
    long: list[str] = []
    for path in files:
        name = path.relative_to(ROOT)
        if (lines := path.read_text(encoding="utf-8").count("\n")) > FILE_LINES:
            long.append(f"{name} has {lines} lines; split it by idea")
        for node in nodes_of(path):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > FUNCTION_LINES:
                    long.append(f"{name}:{node.lineno} {node.name} has {length} lines")
    assert files
    assert long == []


LOGS = {"debug", "info", "warning", "error", "exception", "critical", "log"}
EVENT = re.compile(r"[a-z]+\.[a-z_]+( [a-z]+=%[ds.\df]+)*")
CATCH_ALL = {
    "assistant/agent/toolbox.py",  # a tool's bug becomes a message to the model
    "assistant/api/middleware/errors.py",  # a bug behind a request becomes an answer
    "assistant/app/tools.py",  # a package's tool that fails is left out
    "assistant/app/services.py",  # an adapter that can't be opened leaves its channel stopped, and the server running
    "assistant/config/extensions.py",  # a package that fails to import is named to the person who configured it
    "assistant/delivery/dispatcher.py",  # a fault in one look, or one renewal, must not be the last
    "assistant/delivery/sender.py",  # an adapter's bug is settled as an outcome of its event
    "assistant/delivery/supervisor.py",  # an adapter's bug ends one run of it, and nothing else
    "assistant/store/database.py",  # what a job raised is carried to the one who waits for it
    "assistant/turns/direct.py",  # whatever ends a call is passed on to whoever waits for it
    "assistant/workflows/running.py",  # a bug must leave a job ended, and its owner told
    "assistant/turns/handle.py",  # an end that could not be kept is told to whoever waits for it
    "assistant/turns/service.py",  # whatever ends a turn is settled in its session
}


def nodes_of_the_program() -> Iterator[tuple[str, ast.AST]]:
    for path in SOURCES:
        name = str(path.relative_to(ROOT))
        if name.startswith(("assistant", "channels", "tools")):
            yield from ((name, node) for node in nodes_of(path))


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
