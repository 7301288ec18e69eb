"""Texts with ranges that look otherwise, as Markdown, where there are many of them."""

import pytest

from channels.text.ranges import Range, markdown_of


@pytest.mark.parametrize("ranges", [1, 1500], ids=["many lines", "many ranges"])
def test_long_texts_are_read_in_linear_time(ranges: int) -> None:
    """Signal takes as many ranges as a sender likes; a stranger's message must not hold up others."""
    lines = 50_000 if ranges == 1 else 4000
    found = markdown_of("a\n" * lines, [Range(look="bold", offset=0, length=2 * lines) for _ in range(ranges)])
    assert found == "**a**\n" * lines


def test_ranges_beyond_the_most_look_plain() -> None:
    found = markdown_of("a b", [*[Range(look="bold", offset=0, length=1) for _ in range(1000)], Range(look="bold", offset=2, length=1)])
    assert found == "**a** b"
