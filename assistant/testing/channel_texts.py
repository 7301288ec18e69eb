"""What the cases of channels write, and how they look for it: words of the form w1, w2 … in any text."""

import re
from collections.abc import Sequence

import pytest

from assistant.testing.platform import Ability, ChannelPlatform

LONG_TEXT = "\n\n".join(f"**w{line}0** " + " ".join(f"w{line}{place}" for place in range(1, 40)) for line in range(50))
"""Fifty paragraphs of numbered words."""
FAMILY = "👨‍👩‍👧‍👦"
"""One character of seven code points."""
FENCED = "w1\n\n```python\n" + "\n".join(f"w2{number} = '<b>&*_~'" for number in range(600)) + "\n```\n\nw3"
"""A block of code that is longer than any message."""
TEXTS = {
    "long": LONG_TEXT,
    "fences": FENCED,
    "one line": "w1 " * 4000,
    "one word": "w1" + "x" * 9000 + " w2",
    "right to left": "w1 שלום **עולם** w2 مرحبا `كود` w3",
    "emoji": f"w1 {FAMILY * 900} w2",
    "list": "# w1\n\n- w2\n  - w3\n- [ ] w4\n\n1. w5\n2. w6\n\n> w7\n\n| w8 | w9 |\n|----|----|\n| w10 | w11 |\n\n---\n\n"
    "[w12](https://example.org/x13) ![w14](https://example.org/x.png)",
    "marks": "w1 *w2* **w3** ~~w4~~ `w5` ||w6|| <b>w7</b> &amp; @everyone <!channel> <@U1> w8 \\*w9\\* _w10_ http://example.org/w11_w12 w13",
    "half a pair": "w1 \ud83d w2 \x00 w3 \x1b[31m w4\r\nw5 w6 \ufeff w7",
}
"""By what is hard about them."""


def words_in(texts: Sequence[str]) -> list[str]:
    """The words w1, w2 … in these texts, in order."""
    return re.findall(r"w\d+", " ".join(texts))


def needs(platform: ChannelPlatform, *abilities: Ability) -> None:
    """Skip the case on a platform without these."""
    for each in abilities:
        if each not in platform.abilities:
            pytest.skip(f"{platform.kind.name} has no {each}")
