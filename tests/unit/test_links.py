"""Every link of every Markdown file leads somewhere; and the check finds those that do not."""

from pathlib import Path

import pytest

from docs.links import ROOT, markdown_files, parsed, problems


def test_every_link_of_every_page_leads_somewhere() -> None:
    pages = markdown_files(ROOT)
    assert ROOT / "README.md" in pages
    assert sum(len(parsed(page.read_text(encoding="utf-8")).links) for page in pages) > 200
    assert problems(ROOT, pages) == []


GOOD = (
    "[a](other.md)",
    "[a](other.md#what-it-does)",
    "[a](other.md#a_code-name-and-a-link)",
    "[a](#the-page)",
    "[a](folder)",
    "[a](folder/deep.md)",
    "[a](my%20file.txt)",
    "[a][b]\n\n[b]: other.md",
    "![A picture](picture.png)",
    "[a](https://example.org/x?y=1#z)",
    "<https://example.org>",
    "[a](http://127.0.0.1:8900/)",
    "[a](mailto:anna@example.org)",
    "`[a](gone.md)`",
    "```\n[a](gone.md)\n```",
    "`rows[0][1]` is no link",
)
BAD = {
    "[a](gone.md)": "gone.md is not there",
    "[a](other.md#gone)": "other.md#gone: no heading of this name",
    "[a](other.md#What-it-does)": "other.md#What-it-does: no heading of this name",
    "[a](other.md#twice)": "other.md#twice: 2 headings of this name",
    "[a](other.md#in-code)": "other.md#in-code: no heading of this name",
    "[a](#gone)": "#gone: no heading of this name",
    "[a](Other.md)": "Other.md is not there",
    "[a](my%20file.txt#x)": "my%20file.txt#x: only pages have headings",
    "[a]()": "the link has no target",
    "[a](/other.md)": "/other.md is not relative to its page",
    "[a](//example.org/x)": "//example.org/x is not relative to its page",
    "[a](../outside.md)": "../outside.md leaves the project",
    "[a](https://example/x)": "https://example/x is no address",
    "[a](htps://example.org)": "htps://example.org is no address",
    "[a](ftp://example.org/x)": "ftp://example.org/x is no address",
    "[a](mailto:anna)": "mailto:anna is no address",
    "[words][gone]": "[words][gone] has no target",
    "![A picture](gone.png)": "gone.png is not there",
    "![](picture.png)": "the picture picture.png has no words",
    "![A picture](https://example.org/p.png)": "the picture https://example.org/p.png is elsewhere, and its server learns who reads",
    "| a |\n|---|\n| [b](gone.md) |": "gone.md is not there",
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    (root / "folder").mkdir(parents=True)
    (root / "folder" / "deep.md").touch()
    (root / "picture.png").touch()
    (root / "my file.txt").touch()
    (tmp_path / "outside.md").touch()
    headings = "# Other\n## What it does?\n## `a_code` name, and a [link](folder)\n## Twice\n## Twice\n```\n## In code\n```\n"
    (root / "other.md").write_text(headings, encoding="utf-8")
    return root


@pytest.mark.parametrize("text", GOOD)
def test_a_link_that_leads_somewhere_is_no_problem(project: Path, text: str) -> None:
    assert problems(project, [written(project, text)]) == []


@pytest.mark.parametrize(("text", "wrong"), BAD.items(), ids=list(BAD))
def test_a_link_that_leads_nowhere_is_found(project: Path, text: str, wrong: str) -> None:
    found = problems(project, [written(project, text)])
    assert [problem.partition(": ")[2] for problem in found] == [wrong]


def test_a_problem_names_its_page_and_line(project: Path) -> None:
    assert problems(project, [written(project, "one\n\n[a](gone.md)")]) == ["page.md:5: gone.md is not there"]


def written(project: Path, text: str) -> Path:
    page = project / "page.md"
    page.write_text(f"# The page\n\n{text}\n", encoding="utf-8")
    return page
