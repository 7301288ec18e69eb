"""What the documents name is there: files in backquotes, as seen from the project, from the package, or from the document."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAPERS = sorted(path.relative_to(ROOT).as_posix() for papers in ("*.md", "docs/**/*.md", "examples/*.md") for path in ROOT.glob(papers))
PAPERS.remove("CHANGELOG.md")  # names what is gone
_ROW = re.compile(r"^\| (?P<promised>.+) \| (?P<here>.+) \| (?P<shown>.+) \|$", re.MULTILINE)
_FILE = re.compile(r"`((?:\w[\w.-]*/)*[\w.-]+\.(?:py|md|sh|mjs|toml|txt)|(?:\w[\w-]*/)+)`|\]\(([\w./-]+)\)")


@pytest.mark.parametrize("name", PAPERS)
def test_every_file_that_a_document_names_is_there(name: str) -> None:
    paper = ROOT / name
    named = {path or link for path, link in _FILE.findall(paper.read_text(encoding="utf-8"))}
    places = (ROOT, ROOT / "assistant", ROOT / "assistant/providers", ROOT / "assistant/documents/formats", paper.parent)
    assert [path for path in sorted(named) if not any((place / path).exists() for place in places)] == []


def test_every_test_that_the_page_on_reliability_names_exists() -> None:
    page = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(test_\w+)`", page))
    assert len(named) > 30
    assert named - {name for _, name in every_test()} == set()


def test_every_row_on_compatibility_is_shown_by_tests_that_exist() -> None:
    page = (ROOT / "docs" / "compatibility.md").read_text(encoding="utf-8")
    rows = [row for row in _ROW.finditer(page) if row["promised"] != "promised"]
    lines = [line for line in page.splitlines() if line.startswith("|")]
    tables = lines.count("| promised | here | shown by |")
    assert tables == 6
    assert len(rows) == len(lines) - 2 * tables > 60
    known = {f"`{path}::{name}`" for path, name in every_test()}
    assert [(row["promised"], test) for row in rows for test in row["shown"].split(", ") if test not in known] == []


def every_test() -> Iterator[tuple[str, str]]:
    """All there are: their files, as seen from the project, and their names."""
    for file in (ROOT / "tests").rglob("test_*.py"):
        for name in re.findall(r"^(?:async )?def (test_\w+)", file.read_text(encoding="utf-8"), re.MULTILINE):
            yield file.relative_to(ROOT).as_posix(), name


def test_the_page_on_troubles_quotes_words_that_are_in_the_program() -> None:
    page = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    quoted = re.findall(r"^\| `([^`]{12,})` \|", page, re.MULTILINE)
    assert len(quoted) > 25
    said = program_words()
    assert [words for words in quoted if not all(piece.strip() in said for piece in words.split("…"))] == []


def program_words() -> str:
    """All strings of the program, those on several lines as one."""
    files = [path for part in ("assistant", "channels", "tools") for path in (ROOT / part).rglob("*.py")]
    code = "\n".join(path.read_text(encoding="utf-8") for path in files)
    return re.sub(r"\s+", " ", re.sub(r"\"\s*\n\s*[fr]?\"", "", code))
