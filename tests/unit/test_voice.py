"""The product and its pages are written in plain present-day English: phrases of another age, and riddles, are not used.

The list holds phrases that are never right. Docstrings, comments and strings are read, names in code are not.
"""

import io
import re
import tokenize
from collections.abc import Iterator

import pytest

from tests.budgets import ROOT

PHRASES = (
    r"who(m|so)?ever",
    r"nobody",
    r"somebody",
    r"(go|goes|going|gone|went) on with",
    r"(can't|cannot|can not|to) be had",
    r"mend(s|ed|ing)?",
    r"be(come|comes|came) of",
    r"what stands",
    r"as it stands",
    r"stands (in for|beside|behind|before|there)",
    r"(is|was|being) begun",
    r"of theirs",
    r"hitherto|thereof|forsooth",
    r"heed(s|ed)?",
    r"ought",
    r"shall",
    r"who asks",
    r"knows nothing of",
    r"told of",
    r"hear(s|d)? of",
    r"is heard",
    r"all the same",
    r"fares?",
)
FOUND = re.compile(rf"\b({'|'.join(PHRASES)})\b", re.IGNORECASE)
FOLDERS = ("assistant", "channels", "tools")
PAGES = sorted(path.relative_to(ROOT).as_posix() for pages in ("*.md", "docs/**/*.md", "examples/*.md") for path in ROOT.glob(pages))


def words_of(code: str) -> Iterator[tuple[int, str]]:
    """The docstrings, comments and strings of a module, line by line, with their numbers."""
    for token in tokenize.generate_tokens(io.StringIO(code).readline):
        if token.type in (tokenize.STRING, tokenize.COMMENT) or tokenize.tok_name[token.type] == "FSTRING_MIDDLE":
            yield from enumerate(token.string.splitlines(), token.start[0])


def phrases_in(name: str, lines: Iterator[tuple[int, str]]) -> list[str]:
    return [f"{name}:{number}: {found[0]!r} in: {line.strip()}" for number, line in lines for found in FOUND.finditer(line)]


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_folder_is_in_plain_english(folder: str) -> None:
    files = sorted((ROOT / folder).rglob("*.py"))
    assert files
    assert [
        hit for path in files for hit in phrases_in(path.relative_to(ROOT).as_posix(), words_of(path.read_text(encoding="utf-8")))
    ] == []


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_in_plain_english(page: str) -> None:
    assert phrases_in(page, enumerate((ROOT / page).read_text(encoding="utf-8").splitlines(), 1)) == []


def test_phrases_are_found_in_words_and_not_in_names() -> None:
    code = 'nobody = 1  # Whoever reads\n"""One.\nIt mends."""\nf"{one} shall"\n'
    assert [hit.partition(" in:")[0] for hit in phrases_in("a.py", words_of(code))] == [
        "a.py:1: 'Whoever'",
        "a.py:3: 'mends'",
        "a.py:4: 'shall'",
    ]
