import io

import pytest
from rich.console import Console

from assistant.cli.chat import MarkdownDisplay, settled
from assistant.cli.shared import harmless


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("One.\n\nTwo.", ""),
        ("One.\n\nTwo.\n", "One.\n\n"),
        ("- a\n\n- b\n\n- c\n", ""),
        ("1. a\n\n   more\n\nText.\n", "1. a\n\n   more\n\n"),
        ("```\ncode\n\nmore\n", ""),
        ("```\ncode\n\nmore\n```\n\nText.\n", "```\ncode\n\nmore\n```\n\n"),
        ("~~~\n```\n\nx\n~~~\n\nText.\n", "~~~\n```\n\nx\n~~~\n\n"),
        ("Text.\n\n```\ncode\n", "Text.\n\n"),
    ],
)
def test_only_whole_blocks_are_settled(text: str, whole: str):
    assert text[: settled(text)] == whole


def test_what_a_terminal_would_obey_is_not_passed_on():
    assert harmless("a\x1b]52;c;ZXZpbA==\x07b\tc\nd\u202ee\x9b31m") == "a\ufffd]52;c;ZXZpbA==\ufffdb\tc\nd\ufffde\ufffd31m"


def test_markdown_arrives_whole_whatever_the_pieces():
    text = "# Title\n\nSome *words*.\n\n```python\nx = 1\n\ny = 2\n```\n\n1. one\n2. two\n\nThe end."
    screens: set[str] = set()
    for size in (1, 3, 7, len(text)):
        console = Console(file=io.StringIO(), width=60)
        display = MarkdownDisplay(console)
        for start in range(0, len(text), size):
            display.words(text[start : start + size])
        display.end()
        screens.add("".join(console.file.getvalue().split()))  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownArgumentType]
    assert len(screens) == 1
    assert "x=1y=2" in screens.pop()
