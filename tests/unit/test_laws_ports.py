"""A Protocol in `assistant/contracts` has two implementations, or a fake in the tests, or it joins folders that must not import each other."""

import ast
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BRIDGES = {
    "ApprovalDesk": ("assistant/approvals/desk.py", "assistant/agent/toolbox.py"),
    "BrowserStore": ("assistant/store/browsers.py", "assistant/access/browsers.py"),
    "ChannelDirectory": ("assistant/config/extensions.py", "assistant/access/recipients.py"),
    "Deliveries": ("assistant/delivery/service.py", "assistant/contracts/tools.py"),
    "Hooks": ("channels/webhook/adapter.py", "assistant/api/hooks.py"),
    "KeyStore": ("assistant/store/api_keys.py", "assistant/access/principals.py"),
    "KnownChats": ("assistant/store/inbox.py", "assistant/access/recipients.py"),
    "PairedSenders": ("assistant/store/channels.py", "assistant/access/recipients.py"),
    "RunsBeside": ("tools/delegate.py", "assistant/agent/toolbox.py"),
    "RecipientCheck": ("assistant/access/recipients.py", "assistant/contracts/tools.py"),
    "ScheduleBook": ("assistant/schedule/book.py", "assistant/contracts/tools.py"),
    "ScheduleWords": ("assistant/schedule/spoken.py", "assistant/contracts/tools.py"),
    "SessionFiles": ("assistant/store/attachments.py", "tools/attachments.py"),
}
"""Ports with one implementation: the file that has it, and a file that uses the port and must not import that one."""
OPTIONAL = {"ScheduleBook": "assistant/schedule/book.py", "Workflows": "assistant/workflows/service.py"}
"""The implementation is an optional part, which the rest must not import."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What a port is compared with. (Not its syntax tree: those of all classes would stay in memory.)"""

    file: str
    bases: tuple[str, ...]
    own: frozenset[str]
    """Public names: `async name` for coroutines; what `__init__` assigns to `self` counts."""


@cache
def classes() -> dict[str, list[Shape]]:
    """All classes but Protocols, by name."""
    found: dict[str, list[Shape]] = {}
    for folder in ("assistant", "channels", "tools", "tests"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ClassDef) and not any("Protocol" in ast.unparse(base) for base in node.bases):
                    found.setdefault(node.name, []).append(shape(path.relative_to(ROOT).as_posix(), node))
    return found


def shape(file: str, node: ast.ClassDef) -> Shape:
    names: set[str] = set()
    for item in node.body:
        match item:
            case ast.AsyncFunctionDef(name=name):
                generates = any(isinstance(each, ast.Yield) for each in ast.walk(item))
                names.add(name if generates else f"async {name}")
            case ast.FunctionDef(name="__init__"):
                stores = [each for each in ast.walk(item) if isinstance(each, ast.Attribute) and isinstance(each.ctx, ast.Store)]
                names |= {each.attr for each in stores}
            case ast.FunctionDef(name=name) | ast.AnnAssign(target=ast.Name(id=name)) | ast.Assign(targets=[ast.Name(id=name)]):
                names.add(name)
            case _:
                pass
    public = frozenset(name for name in names if not name.removeprefix("async ").startswith("_"))
    return Shape(file, tuple(ast.unparse(base).split("[")[0] for base in node.bases), public)


PORTS = {
    node.name: shape("", node)
    for path in sorted((ROOT / "assistant/contracts").glob("*.py"))
    for node in ast.parse(path.read_text(encoding="utf-8")).body
    if isinstance(node, ast.ClassDef) and any("Protocol" in ast.unparse(base) for base in node.bases)
}


@cache
def members(found: Shape) -> frozenset[str]:
    """Its own names and those of its bases."""
    return found.own.union(*(members(parent) for base in found.bases for parent in classes().get(base, [])))


def implementations(port: str) -> list[str]:
    """The files that have a class with all names of a port."""
    wanted = members(PORTS[port])
    return [found.file for named in classes().values() for found in named if wanted <= members(found)]


def layer(file: str) -> int:
    """The place of a file's folder in the import law, from 0 at the bottom."""
    laws = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]
    layers = [row.split(" | ") for row in next(law["layers"] for law in laws if law["type"] == "layers")]
    module = file.removesuffix(".py").replace("/", ".")
    return next(place for place, row in enumerate(reversed(layers)) if any(f"{module}.".startswith(f"{part}.") for part in row))


@pytest.mark.parametrize("port", sorted(PORTS))
def test_a_port_has_two_implementations_or_a_fake_or_joins_strangers(port: str) -> None:
    found = implementations(port)
    if port in BRIDGES:
        implementation, user = BRIDGES[port]
        assert implementation in found
        assert port in (ROOT / user).read_text(encoding="utf-8")
        assert layer(user) <= layer(implementation) or user.startswith(("channels/", "tools/")), f"{user} may import {implementation}"
    elif port in OPTIONAL:
        assert OPTIONAL[port] in found
    else:
        assert len(found) > 1, f"{port} is implemented by {found} only: let it be that class"


def test_the_tables_name_ports() -> None:
    assert PORTS.keys() >= BRIDGES.keys() | OPTIONAL.keys()
