"""Where a text is cut, and that it takes no longer than its length says."""

import re
from collections.abc import Callable
from cProfile import Profile

import pytest

from channels.text.blocks import FormattedPart
from channels.text.discord import discord_parts
from channels.text.splitting import plain_parts
from channels.text.telegram import telegram_parts


def texts(parts: list[FormattedPart]) -> list[str]:
    return [part.text for part in parts]


def test_a_text_is_cut_between_paragraphs_first() -> None:
    one, two, three = "a" * 40, "b" * 40, "c" * 30
    assert texts(plain_parts(f"{one}\n\n{two}\n\n{three}", 90)) == [f"{one}\n\n{two}", three]


def test_then_between_lines() -> None:
    lines = [f"line {place} of the poem" for place in range(9)]
    for part in texts(plain_parts("\n".join(lines), 60)):
        assert all(line in lines for line in part.split("\n"))


def test_then_after_sentences() -> None:
    text = "One is here. Two is here! Three is here? Four is here."
    assert texts(plain_parts(text, 45)) == ["One is here. Two is here! Three is here?", "Four is here."]
    assert texts(plain_parts("第一句在这里。第二句在这里。第三句。", 18)) == ["第一句在这里。第二句在这里。", "第三句。"]


def test_then_between_words() -> None:
    assert texts(plain_parts("alpha beta gamma delta", 14)) == ["alpha beta", "gamma delta"]
    for part in texts(plain_parts("alpha beta gamma delta " * 20, 16)):
        assert all(word in ("alpha", "beta", "gamma", "delta") for word in part.split())


@pytest.mark.parametrize("cluster", ["👨‍👩‍👧‍👦", "🇩🇪", "👍🏽", "e\u0301", "1️⃣", "각", "न\u093f", "🏴\U000e0067\U000e0062\U000e007f"])
def test_then_between_what_is_seen_as_characters(cluster: str) -> None:
    parts = texts(plain_parts(cluster * 200, 50))
    assert len(parts) > 1
    assert "".join(parts) == cluster * 200
    assert all(part == cluster * (len(part) // len(cluster)) for part in parts)


def test_a_word_that_fits_a_part_is_not_cut_to_fill_another() -> None:
    assert texts(plain_parts(f"short\n{'w' * 50}", 54)) == ["short", "w" * 50]


def test_code_is_closed_and_opened_again_with_its_language() -> None:
    code = "\n".join(f"line_{place} = {place}" for place in range(400))
    for parts, begin, end in (
        (texts(discord_parts(f"Look:\n```python\n{code}\n```\nDone.")), "```python\n", "\n```"),
        (texts(telegram_parts(f"Look:\n```python\n{code}\n```\nDone.", 1000)), '<pre><code class="language-python">', "</code></pre>"),
    ):
        assert len(parts) > 2
        inner = [part.removeprefix("Look:\n").removeprefix("\n").removesuffix("Done.").rstrip() for part in parts]
        assert all(part.startswith(begin) and part.endswith(end) for part in inner if part)
        lines = [line for part in inner for line in part.removeprefix(begin).removesuffix(end).split("\n") if line]
        assert lines == code.split("\n")


def test_a_table_says_its_header_in_every_part() -> None:
    rows = "\n".join(f"| row {place} | {place} |" for place in range(300))
    parts = texts(discord_parts(f"| name | number |\n|---|---|\n{rows}"))
    assert len(parts) > 2
    assert all(re.match(r"```\nname +│ number\n─+┼─+\n", part) for part in parts)
    assert [name for part in parts for name in re.findall(r"row \d+", part)] == [f"row {place}" for place in range(300)]


def test_a_heading_goes_with_what_follows_it() -> None:
    parts = texts(plain_parts(f"{'a' * 60}\n\n# Title\n\n{'b' * 60}", 75))
    assert parts == ["a" * 60, f"Title\n{'b' * 60}"]


def test_styles_and_quotes_go_on_in_the_next_part() -> None:
    for part in telegram_parts(f"> **{'word ' * 100}end**", 200):
        assert part.text.startswith("<blockquote><b>")
        assert part.text.endswith("</b></blockquote>")
    for part in discord_parts(f"> ||{'word ' * 100}end||", 200):
        assert part.text.startswith("> ||")
        assert part.text.endswith("||")


def test_a_part_has_no_more_entities_than_telegram_keeps() -> None:
    parts = telegram_parts(" ".join(f"**w{place}**" for place in range(250)))
    assert [part.text.count("<b>") for part in parts] == [100, 100, 50]


def test_an_empty_quote_is_nothing_to_see() -> None:
    for text in (">#", "> ", "> \u200b", "> #\n> ##"):
        assert telegram_parts(text) == discord_parts(text) == []


def test_the_same_text_gives_the_same_parts() -> None:
    text = "# T\n\n" + "- **a** `b`\n" * 1000
    assert telegram_parts(text) == telegram_parts(text)


LARGE: dict[str, Callable[[int], str]] = {
    "brackets": lambda size: "[" * size,
    "images": lambda size: "![a](" * (size // 5),
    "stars": lambda size: "**a " * (size // 4),
    "bars": lambda size: "||a" * (size // 3),
    "ticks": lambda size: "`a``b```c " * (size // 10),
    "quotes": lambda size: ">" * size,
    "nested lists": lambda size: "".join("  " * (place % 60) + "- a\n" for place in range(size // 60)),
    "one word": lambda size: "w" * size,
    "spaces": lambda size: "a" + " " * size + "b",
    "lines": lambda size: "ab\n" * (size // 3),
    "paragraphs": lambda size: "ab\n\n" * (size // 4),
    "code": lambda size: "```\n" + "x = 1\n" * (size // 6),
    "one line of code": lambda size: "```\n" + "x" * size,
    "cells": lambda size: "a|" * (size // 4) + "\n" + "-|" * (size // 4),
    "rows": lambda size: "a|b\n-|-\n" + "c|d\n" * (size // 4),
    "columns": lambda size: "a|" * (size // 6) + "\n" + "-|" * (size // 6) + "\n" + "b\n" * (size // 6),
    "marks": lambda size: "e" + "\u0301" * size,
    "entities": lambda size: "&" * size,
    "words": lambda size: "**bold** `code` plain. " * (size // 23),
}


def calls(work: Callable[[], object]) -> int:
    """How many functions were called: what it cost, whatever else the machine does."""
    profile = Profile()
    profile.runcall(work)
    return sum(entry.callcount for entry in profile.getstats())


@pytest.mark.parametrize("kind", LARGE)
@pytest.mark.parametrize("form", [telegram_parts, discord_parts])
def test_twice_the_text_is_twice_the_work(kind: str, form: Callable[[str], list[FormattedPart]]) -> None:
    form("warm")
    small, large = (calls(lambda size=size: form(LARGE[kind](size))) for size in (5_000, 10_000))
    assert large <= 2.4 * small + 1000


@pytest.mark.parametrize("kind", ["brackets", "one word", "quotes", "one line of code", "spaces"])
def test_a_very_long_text_comes_whole(kind: str) -> None:
    text = LARGE[kind](100_000)
    seen = "".join(part.plain for part in discord_parts(text))
    letters = [char for char in text.removeprefix("```") if char in "[wxab>"]
    assert seen.count(letters[-1]) >= letters.count(letters[-1])
