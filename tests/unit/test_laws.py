"""The laws of the code's shape: sizes, names, and what a file may be.

Other laws are elsewhere: the picture of the imports in `test_architecture.py`, words in `test_voice.py`, the direction of imports and the optional
parts in the contracts of `pyproject.toml` (`make lint`), speed in `docs/performance.md` (`make bench`).
"""

import ast
import re
import tomllib
from collections import defaultdict
from pathlib import Path

import pytest

from channels.catalog import OWN
from tests.budgets import PRODUCT, ROOT, budgets, lines_by_folder, renewed

FOLDERS = (*PRODUCT, "tests", "bench", "examples", "docs")
FILE_LINES = 400
FUNCTION_LINES = 60
CRUMB_LINES = 40
MAY_BE_SMALL = {"__init__.py", "__main__.py", "kind.py", "settings.py", "catalog.py"}
SMALL_FOLDERS = ("assistant/contracts/", "assistant/store/migrations/")  # ports, and one revision a file
SMALL = {"assistant/config/errors.py", "assistant/store/tables/columns.py"}


def sources(*folders: str) -> list[tuple[str, str]]:
    """Each Python file's name, as seen from the project, and its text."""
    files = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    assert files
    return [(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")) for path in files]


def test_each_folder_of_the_product_keeps_its_budget() -> None:
    _, allowed = budgets()
    over = {folder: lines for folder, lines in lines_by_folder().items() if lines > allowed.get(folder, 0)}
    assert over == {}, "shrink it, or raise its line in tests/budgets.toml and say there why"


def test_the_budgets_name_every_folder_and_keep_the_total() -> None:
    total, allowed = budgets()
    assert allowed.keys() == lines_by_folder().keys()
    assert sum(lines_by_folder().values()) <= total


def test_renewed_budgets_keep_their_reasons() -> None:
    text = 'total = 9 # why\n\n[lines]\n"a" = 1 # a reason\n"gone" = 2\n'
    assert renewed(text, {"a": 3, "new": 4}) == 'total = 9 # why\n\n[lines]\n"a" = 3 # a reason\n"new" = 4\n'


def test_a_public_class_name_is_used_once() -> None:
    files: dict[str, list[str]] = defaultdict(list)
    for name, text in sources(*PRODUCT):
        for node in ast.parse(text).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                files[node.name].append(name)
    assert {name: where for name, where in files.items() if len(where) > 1} == {}


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_file_is_too_long(folder: str) -> None:
    long = {name: lines for name, text in sources(folder) if (lines := text.count("\n")) > FILE_LINES}
    assert long == {}, "split it by idea"


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_function_is_too_long(folder: str) -> None:
    long = {
        f"{name}:{node.lineno} {node.name}": lines
        for name, text in sources(folder)
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (lines := (node.end_lineno or node.lineno) - node.lineno + 1) > FUNCTION_LINES
    }
    assert long == {}


@pytest.mark.parametrize("folder", PRODUCT)
def test_only_ports_settings_and_kinds_are_small_files(folder: str) -> None:
    small = {
        name: lines
        for name, text in sources(folder)
        if (lines := text.count("\n")) < CRUMB_LINES and Path(name).name not in MAY_BE_SMALL and not name.startswith(SMALL_FOLDERS)
    }
    assert small.keys() == {name for name in SMALL if name.startswith(f"{folder}/")}, "put it where it is used"


def test_nothing_imports_the_bench_but_itself() -> None:
    imports = re.compile(r"^\s*(from|import) bench\b", re.MULTILINE)
    assert [name for name, text in sources(*PRODUCT, "tests") if imports.search(text)] == []


def test_each_channel_of_ours_is_an_optional_part() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]
    optional = {module for contract in contracts if contract["type"] == "protected" for module in contract["protected_modules"]}
    assert {f"channels.{name}" for name in OWN} <= optional
