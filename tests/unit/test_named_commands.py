"""Every command that a page names is there, with its options."""

import re
from collections.abc import Iterator
from functools import cache

import pytest

from docs.links import ROOT, markdown_files
from docs.made.commands import commands

PAGES = [
    page.relative_to(ROOT).as_posix() for page in markdown_files(ROOT) if page.name != "CHANGELOG.md" and "tests/" not in page.as_posix()
]
_INLINE = re.compile(r"(?<!`)`(?:\.venv/bin/)?nanobot ([^`]+)`")
_BLOCK = re.compile(r"^ *```(?!text).*?\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
_LINE = re.compile(r"^ *(?:\$ )?(?:\w+=\S+ )?(?:\.venv/bin/)?nanobot ([a-z].*)$", re.MULTILINE)
_OPTION = re.compile(r"(?<!\S)--?[a-z][\w-]*")


def named(text: str) -> Iterator[str]:
    """What follows `nanobot` where it is called, in words and in blocks."""
    yield from _INLINE.findall(text)
    for block in _BLOCK.findall(text):
        yield from (line.partition("  #")[0] for line in _LINE.findall(block))


def wrong(call: str) -> str:
    """What is wrong with a call; empty: nothing."""
    known, call = cached(), call.partition(" | ")[0].strip()
    if call == "--version":
        return ""
    words = call.split()
    path = tuple(words[:2]) if tuple(words[:2]) in known else tuple(words[:1])
    if path not in known:
        return f"nanobot {call}: there is no such command"
    inside = {each[1] for each in known if len(each) == 2 and each[0] == path[0]}
    if len(path) == 1 and inside and len(words) > 1 and re.fullmatch(r"[a-z][a-z-]*", words[1]):
        return f"nanobot {call}: {path[0]} has no command {words[1]}"
    quoted = re.sub(r"\"[^\"]*\"|'[^']*'", '""', call)
    options = frozenset[str]().union(*(known[each] for each in known if each[: len(path)] == path))  # of a group: of all in it
    missing = [option for option in _OPTION.findall(quoted) if option not in options]
    return f"nanobot {call}: it has no {', '.join(missing)}" if missing else ""


@cache
def cached() -> dict[tuple[str, ...], frozenset[str]]:
    return commands()


@pytest.mark.parametrize("name", PAGES)
def test_every_command_that_a_page_names_is_there(name: str) -> None:
    assert [problem for call in named((ROOT / name).read_text(encoding="utf-8")) if (problem := wrong(call))] == []


def test_commands_are_found_in_words_and_in_blocks() -> None:
    words = "`nanobot serve`, `nanobot` and ``nanobot x``"
    block = '```sh\n$ nanobot chat "hi"   # asks\nFOO=1 nanobot doctor\n```'
    printed = "```text\nnanobot serves\n```"
    assert list(named(f"{words}\n\n{block}\n\n{printed}\n")) == ["serve", 'chat "hi" ', "doctor"]


@pytest.mark.parametrize(
    ("call", "problem"),
    [
        ("serve --port 9", ""),
        ("channels add telegram --set token=1", ""),
        ('chat "what is --verbose?"', ""),
        ("workflows list | show <id>", ""),
        ("serv", "there is no such command"),
        ("channels ad telegram", "channels has no command ad"),
        ("serve --prot 9", "it has no --prot"),
    ],
)
def test_a_call_that_can_not_be_made_is_found(call: str, problem: str) -> None:
    assert wrong(call).removeprefix(f"nanobot {call}: ") == problem
