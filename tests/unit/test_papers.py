"""What the documents name is there: files in backquotes, as seen from the project, from the package, or from the document."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAPERS = (
    "README.md",
    "CONTRIBUTING.md",
    "examples/README.md",
    "docs/api.md",
    "docs/architecture.md",
    "docs/channels.md",
    "docs/decisions.md",
    "docs/embedding.md",
    "docs/performance.md",
    "docs/reliability.md",
    "docs/workflows.md",
)
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
    files = [file.read_text(encoding="utf-8") for file in (ROOT / "tests").rglob("test_*.py")]
    assert len(named) > 30
    assert named - {name for text in files for name in re.findall(r"def (test_\w+)", text)} == set()
