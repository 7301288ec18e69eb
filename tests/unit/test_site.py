"""The site of the pages: each is in its navigation, and what it is built of has the links and lists that hold there."""

import re
from pathlib import Path

import pytest

from channels.catalog import OWN
from docs.site import ROOT, for_site, navigation, pages, spaced, zensical


def test_the_navigation_leads_to_every_page_once() -> None:
    written = re.findall(r'"([\w/-]+\.md)"', (ROOT / "docs" / "site.toml").read_text(encoding="utf-8"))
    assert sorted(written) == sorted(navigation()) == sorted(pages())


def test_every_channel_has_a_page() -> None:
    assert {f"channels/{name}.md" for name in OWN} <= navigation().keys()


def test_a_page_that_links_to_nothing_ends_the_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "index.md"
    broken.write_text("# nanobot\n\n[a](begin.md#gone)\n", encoding="utf-8")
    monkeypatch.setattr("docs.site.pages", lambda: {"index.md": broken})
    assert zensical("build", tmp_path / "site") != 0
    assert "index.md:3" in "".join(capfd.readouterr())


@pytest.mark.parametrize(
    ("place", "text", "there"),
    [
        ("contributing.md", "[a](docs/api.md#keys)", "[a](api.md#keys)"),
        ("contributing.md", "[docs/api.md](docs/api.md)", "[The API](api.md)"),
        ("contributing.md", "[SECURITY.md](SECURITY.md)", "[Report a vulnerability](vulnerabilities.md)"),
        ("permissions.md", "[how](../CONTRIBUTING.md)", "[how](contributing.md)"),
        ("channels/ntfy.md", "[x](../../CONTRIBUTING.md#tests)", "[x](../contributing.md#tests)"),
        ("channels/ntfy.md", "[api](../api.md), [Slack](slack.md)", "[api](../api.md), [Slack](slack.md)"),
        ("api.md", "[configuration.md](configuration.md)", "[Configuration](configuration.md)"),
        ("api.md", "[examples/](../examples) and [a test](../tests/flow/test_api.py)", "examples/ and a test"),
        ("api.md", "[a](#keys), [b](https://example.org/x), ![c](page/chat-light-wide.jpg)", None),
    ],
)
def test_links_hold_in_the_site(place: str, text: str, there: str | None) -> None:
    assert for_site(place, text) == (text if there is None else there)


@pytest.mark.parametrize(
    ("text", "there"),
    [
        ("Words:\n- a\n- b\n\nEnd.", "Words:\n\n- a\n- b\n\nEnd."),
        ("1. a\n   b\n   ```\n   c\n     d\n   ```\n2. e", "1. a\n    b\n    ```\n    c\n      d\n    ```\n2. e"),
        ("In\n2026. A year", None),
        ("```\nx\n- y\n```", None),
        ("- a\n- b", None),
    ],
)
def test_lists_are_as_the_site_reads_them(text: str, there: str | None) -> None:
    assert spaced(text) == (text if there is None else there)


def test_pages_of_the_top_folder_are_found() -> None:
    assert pages()["vulnerabilities.md"] == ROOT / "SECURITY.md"
