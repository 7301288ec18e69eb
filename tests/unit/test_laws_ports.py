"""A Protocol in `assistant/contracts` has two implementations, or a fake in the tests, or it joins folders that must not import each other."""

import ast
import tomllib
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PORTS = {
    node.name: node
    for path in sorted((ROOT / "assistant/contracts").glob("*.py"))
    for node in ast.parse(path.read_text(encoding="utf-8")).body
    if isinstance(node, ast.ClassDef) and any("Protocol" in ast.unparse(base) for base in node.bases)
}
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


@cache
def classes() -> dict[str, list[tuple[str, ast.ClassDef]]]:
    """All classes but Protocols, with their files, by name."""
    found: dict[str, list[tuple[str, ast.ClassDef]]] = {}
    for folder in ("assistant", "channels", "tools", "tests"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ClassDef) and not any("Protocol" in ast.unparse(base) for base in node.bases):
                    found.setdefault(node.name, []).append((path.relative_to(ROOT).as_posix(), node))
    return found


def members(node: ast.ClassDef) -> set[str]:
    """Public names of a class: `async name` for coroutines; what `__init__` assigns to `self` counts, and so do the bases' names."""
    names: set[str] = set()
    for base in node.bases:
        for _, parent in classes().get(ast.unparse(base).split("[")[0], []):
            names |= members(parent)
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
    return {name for name in names if not name.removeprefix("async ").startswith("_")}


def implementations(port: str) -> list[str]:
    """The files that have a class with all names of a port."""
    wanted = members(PORTS[port])
    return [file for named in classes().values() for file, node in named if wanted <= members(node)]


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
