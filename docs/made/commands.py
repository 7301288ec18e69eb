"""docs/cli.md: what each command says to `--help`."""

from collections.abc import Iterator
from typing import Any

import typer

from assistant.cli.program import program
from docs.made.markdown import page, table

_COLUMNS = 100


def commands_page() -> str:
    root = typer.main.get_command(program([]))
    context = _context(root, "nanobot", None)
    groups = [(name, command, _context(command, name, context)) for name, command in _inside(root)]
    rows = [(f"[`nanobot {name}`](#nanobot-{name})", command.get_short_help_str(120)) for name, command, _ in groups]
    return page(
        "# Commands",
        "What each command says to `--help`. In a checkout it is `.venv/bin/nanobot`. An error that you can fix is one line and the exit code 1; "
        "wrong usage is the exit code 2. Commands work on the same store as a server that runs, or without one.",
        table(("command", "what it does"), rows),
        *[part for name, command, inner in groups for part in (f"## nanobot {name}", *_help(command, inner))],
    )


def _help(command: Any, context: Any) -> Iterator[str]:
    """What it says, and what each command in it says."""
    yield f"```text\n{command.get_help(context).strip()}\n```"
    for name, inner in _inside(command):
        yield f"### {context.command_path} {name}"
        yield from _help(inner, _context(inner, name, context))


def _context(command: Any, name: str, parent: Any) -> Any:
    width = {"terminal_width": _COLUMNS, "max_content_width": _COLUMNS}
    return command.context_class(command, info_name=name, parent=parent, **width, **command.context_settings)


def _inside(command: Any) -> list[tuple[str, Any]]:
    return [(name, inner) for name, inner in getattr(command, "commands", {}).items() if not inner.hidden]


def commands() -> dict[tuple[str, ...], frozenset[str]]:
    """The words of every command, and its options: ("channels", "add") and "--set", "--owner" …"""

    def below(command: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], frozenset[str]]]:
        for name, inner in _inside(command):
            named = [option for each in inner.params for option in (*getattr(each, "opts", ()), *getattr(each, "secondary_opts", ()))]
            yield (*path, name), frozenset([*named, "--help", "-h"])
            yield from below(inner, (*path, name))

    return dict(below(typer.main.get_command(program([])), ()))
