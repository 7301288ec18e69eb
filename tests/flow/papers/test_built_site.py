"""The site as it is built: whole, as the pages are, and asking no other server for anything."""

import functools
import http.server
import re
import threading
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from docs.site import ROOT, pages, zensical
from tests.flow.page.rig import chromium

_LOADED = re.compile(r"""<(?:script|img|link|iframe|source)\b[^>]*?\b(?:src|href)=["']?([^"'\s>]+)|url\(["']?([^"')]+)""")
_BLOCKS = {"ordered_list_open", "bullet_list_open", "list_item_open", "table_open", "fence"}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    assert zensical("build", folder) == 0
    return folder / "html"


def test_every_page_is_there_and_looks_as_it_does_elsewhere(built: Path) -> None:
    assert {path.relative_to(built).with_suffix(".md").as_posix() for path in built.rglob("*.html")} - {"404.md"} == set(pages())
    for place, page in pages().items():
        assert shape_in_site((built / place).with_suffix(".html")) == shape(page), f"{page.relative_to(ROOT)} looks another way in the site"


def shape(page: Path) -> Counter[str]:
    """How many of each kind of block a page has, by CommonMark."""
    tokens = MarkdownIt("commonmark").enable("table").parse(page.read_text(encoding="utf-8"))
    return Counter("pre" if token.type == "fence" else token.tag for token in tokens if token.type in _BLOCKS)


def shape_in_site(page: Path) -> Counter[str]:
    article = page.read_text(encoding="utf-8").partition("<article")[2].partition("</article>")[0]
    return Counter(re.findall(r"<(ol|ul|li|table|pre)\b", article))


def test_no_page_names_what_is_elsewhere(built: Path) -> None:
    texts = [path.read_text(encoding="utf-8") for kind in ("*.html", "*.css") for path in built.rglob(kind)]
    loaded = {address for text in texts for pair in _LOADED.findall(text) for address in pair if address}
    assert any(address.endswith("site.css") for address in loaded)
    assert [address for address in loaded if re.match(r"https?:|//", address)] == []


async def test_a_browser_finds_what_it_searches_and_asks_no_other_server(built: Path) -> None:
    asked: list[str] = []
    with serving(built) as url:
        async with chromium() as browser:
            page = await browser.new_page()
            page.on("request", lambda request: asked.append(request.url))
            await page.goto(f"{url}/index.html")
            await page.get_by_role("button", name="Search").first.click()
            await page.locator("input[aria-label=Search]").fill("maybe_duplicate")
            await page.get_by_text(re.compile(r"^\d+ results")).first.wait_for()
            await page.keyboard.press("Enter")
            await page.wait_for_url(re.compile(r"\.html(\?|#)"))
    assert any(address.endswith("search.json") for address in asked)
    assert [address for address in asked if not address.startswith((url, "data:", "blob:"))] == []


class QuietFiles(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def serving(folder: Path) -> Generator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(QuietFiles, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
