"""The picture and the tree in docs/architecture.md are those of the code."""

import re
from functools import cache
from graphlib import TopologicalSorter
from itertools import pairwise

import grimp

from channels.catalog import OTHERS
from tests.budgets import ROOT

PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
Arrows = dict[str, set[str]]


def block(start: str) -> str:
    """The fenced block that begins with `start`."""
    return next(text for text in re.findall(r"```\w*\n(.*?)```", PAGE, re.DOTALL) if text.startswith(start))


def drawn() -> Arrows:
    """The arrows of the picture: from each part to those it imports. A line may chain arrows and name several parts: `a & b --> c --> d`."""
    arrows: Arrows = {}
    for line in filter(str.strip, block("flowchart").splitlines()[1:]):
        chain = [re.findall(r"\w+", names) for names in re.split(r"-->|-\.->(?:\|[^|]*\|)?", line)]
        assert len(chain) > 1, line
        for sources, targets in pairwise(chain):
            for source in sources:
                arrows.setdefault(source, set()).update(targets)
    return arrows


def part_of(module: str) -> str:
    """`api` for assistant.api.app, `channels` for channels.text."""
    names = module.split(".")
    return names[1] if names[0] == "assistant" and len(names) > 1 else names[0]


@cache
def real() -> Arrows:
    """The imports between parts; the name and version in `assistant/__init__.py` are for all."""
    graph = grimp.build_graph("assistant", "channels", "tools", cache_dir=None)
    arrows: Arrows = {}
    for module in graph.modules:
        for imported in graph.find_modules_directly_imported_by(module):
            source, target = part_of(module), part_of(imported)
            if source != target and "assistant" not in (source, target):
                arrows.setdefault(source, set()).add(target)
    return arrows


def reached(arrows: Arrows, part: str) -> set[str]:
    """All parts to which arrows lead from this one."""
    found: set[str] = set()
    waiting = [part]
    while waiting:
        new = arrows.get(waiting.pop(), set()) - found
        found |= new
        waiting += new
    return found


def test_every_arrow_of_the_picture_is_an_import() -> None:
    assert {(part, to) for part, targets in drawn().items() for to in targets - real().get(part, set())} == set()


def test_no_import_goes_where_no_arrows_of_the_picture_lead() -> None:
    picture = drawn()
    assert {(part, to) for part, targets in real().items() for to in targets - reached(picture, part)} == set()


def test_the_picture_has_no_circle() -> None:
    TopologicalSorter(drawn()).prepare()


def test_the_tree_names_every_folder_that_there_is() -> None:
    named: dict[str, set[str]] = {}
    above = ""
    for line in block("assistant/").splitlines():
        if name := re.match(r"(  )?(\w+)(/|\.py) ", f"{line} "):
            if name[1]:
                named[above].add(name[2])
            else:
                above = name[2]
                named[above] = set()
    there = {root: {path.stem for path in (ROOT / root).iterdir() if holds_code(path.name)} for root in ("assistant", "channels")}
    there["channels"] -= set(OTHERS)  # one row, as they are alike
    assert {root: named[root] for root in there} == there
    assert named.keys() == {path.name for path in ROOT.iterdir() if any(path.glob("**/__init__.py")) and not path.name.startswith(".")}


def holds_code(name: str) -> bool:
    """Whether it is a package, or a module of the assistant itself (not one that channels share)."""
    return not name.startswith(("_", ".")) and name not in {"settings.py", "catalog.py", "preview.py", "config.json"}
