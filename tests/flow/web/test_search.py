"""`search_web` asks the searches that are configured, in order, by their real APIs (stand-ins on loopback), and says which one answered."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson
import pytest

from assistant.contracts.errors import ToolFailed
from assistant.contracts.web import FoundPage
from assistant.fetching.search import ConfiguredSearch, SearchUnavailable
from tests.doubles.websites import Asked, Served, WebSite
from tests.flow.web.rig import open_web

PAGES = [
    ("Rivers &amp; <b>lakes</b>", "https://example.org/rivers", "The <strong>longest</strong> river."),
    ("Lakes", "https://example.org/lakes", ""),
]
FOUND = """[{by} answers]
1. Rivers & lakes
   https://example.org/rivers
   The longest river.
2. Lakes
   https://example.org/lakes"""


def json_of(value: object) -> Served:
    return Served(orjson.dumps(value), "application/json")


def rows(text: str) -> list[dict[str, str]]:
    return [*[{"title": title, "url": url, text: words} for title, url, words in PAGES], {"title": "Odd", "url": "javascript:x"}]


def brave(asked: Asked) -> Served:
    if asked.headers.get("x-subscription-token") != "brave-key":
        return Served(status=401)
    assert parse_qs(urlsplit(asked.url).query) == {"q": ["rivers of europe"], "count": ["5"]}
    return json_of({"web": {"results": rows("description")}})


def tavily(asked: Asked) -> Served:
    assert asked.headers["authorization"] == "Bearer tavily-key"
    assert (asked.method, orjson.loads(asked.body)) == ("POST", {"query": "rivers of europe", "max_results": 5})
    return json_of({"results": rows("content")})


def searxng(asked: Asked) -> Served:
    assert parse_qs(urlsplit(asked.url).query) == {"q": ["rivers of europe"], "format": ["json"]}
    return json_of({"results": rows("content")})


def duckduckgo(asked: Asked) -> Served:
    assert (asked.method, parse_qs(asked.body.decode())["q"]) == ("POST", ["rivers of europe"])
    found = "".join(f'<div class="x body"><h2>{title}</h2><a href="{url}">{words}</a></div>' for title, url, words in PAGES)
    return Served(f"<html><body>{found}</body></html>".encode())


@pytest.fixture
async def site(monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[WebSite]:
    from ddgs.engines.duckduckgo import Duckduckgo

    async with WebSite(ports=0) as site:
        monkeypatch.setattr(Duckduckgo, "search_url", f"http://{site.at}/html")
        site.pages |= {"/brave": brave, "/tavily": tavily, "/search": searxng, "/html": duckduckgo}
        yield site


def settings(site: WebSite, *names: str, **more: object) -> dict[str, Any]:
    every: dict[str, dict[str, object]] = {
        "brave": {"braveKey": "brave-key", "braveUrl": f"http://{site.at}/brave"},
        "tavily": {"tavilyKey": "tavily-key", "tavilyUrl": f"http://{site.at}/tavily"},
        "searxng": {"searxng": f"http://{site.at}/"},
        "ddgs": {"ddgs": "duckduckgo"},
    }
    search: dict[str, object] = {"ddgs": None}
    for name in names:
        search |= every[name]
    return {"search": search | more}


@pytest.mark.parametrize(
    ("names", "by", "path"),
    [
        (["brave", "tavily", "searxng", "ddgs"], "Brave", "/brave"),
        (["tavily", "searxng", "ddgs"], "Tavily", "/tavily"),
        (["searxng", "ddgs"], "SearXNG", "/search"),
        (["ddgs"], "ddgs", "/html"),
    ],
)
async def test_the_first_that_is_configured_answers(tmp_path: Path, site: WebSite, names: list[str], by: str, path: str) -> None:
    async with open_web(tmp_path, **settings(site, *names)) as web:
        message = await web.search("rivers  of\neurope")
    assert (message.text, message.provenance) == (FOUND.format(by=by), "web")
    assert [each.partition("?")[0] for each in site.paths] == [path]


@pytest.mark.parametrize(
    ("served", "why"),
    [
        (Served(status=401), "Brave: the key is refused (web.search.braveKey)"),
        (Served(status=403), "Brave: the key is refused"),
        (Served(status=429), "Brave: its limit is used up (429)"),
        (Served(status=502), "Brave: it answers 502"),
        (Served(status=302, headers={"Location": "/search"}), "Brave: it answers 302"),
        (Served(b"<html>"), "Brave: its answer is no JSON"),
        (Served(b"[" * 2_000_001), "Brave: its answer is too long"),
    ],
)
async def test_one_that_fails_is_said_and_the_next_is_asked(tmp_path: Path, site: WebSite, served: Served, why: str) -> None:
    site.pages["/brave"] = served
    async with open_web(tmp_path, **settings(site, "brave", "searxng")) as web:
        message = await web.search("rivers of europe")
    assert message.ok
    assert message.text.startswith(f"[SearXNG answers ({why}")
    assert "https://example.org/rivers" in message.text


async def test_an_odd_answer_finds_nothing(tmp_path: Path, site: WebSite) -> None:
    async with open_web(tmp_path, **settings(site, "brave")) as web:
        results = b'{"web": {"results": [null, 1, {"url": null}, {"url": "https://a b"}]}}'
        for odd in (b"null", b"1", b"[]", b'{"web": null}', b'{"web": []}', results):
            site.pages["/brave"] = Served(odd, "application/json")
            assert (await web.search("x")).text == "Brave found nothing for 'x'."


async def test_where_none_answers_it_says_what_to_configure(tmp_path: Path, site: WebSite) -> None:
    site.pages["/html"] = Served(status=202)
    site.pages["/search"] = Served(status=403)
    async with open_web(tmp_path, **settings(site, "searxng", "ddgs")) as web:
        message = await web.search("rivers of europe")
    assert not message.ok
    assert "SearXNG: it refuses format=json" in message.text
    assert "ddgs: " in message.text
    assert "Configure web.search: braveKey" in message.text
    async with open_web(tmp_path / "none", **settings(site)) as web:
        assert (await web.search("x")).text.startswith("No web search answered (none is configured).")


async def test_one_that_hangs_is_given_up() -> None:
    class Hanging:
        name = "Hanging"

        async def find(self, query: str, count: int) -> list[FoundPage]:
            await asyncio.Event().wait()
            raise SearchUnavailable("never")

    with pytest.raises(ToolFailed, match="Hanging did not answer within"):
        await ConfiguredSearch([Hanging()], seconds=0.01).search("x", 5)
