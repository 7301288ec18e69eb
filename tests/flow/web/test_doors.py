"""The web through the front doors: without a key in English and German, with a model over the API, on Telegram."""

from collections.abc import AsyncGenerator
from functools import partial
from pathlib import Path

import httpx2
import orjson
import pytest

from tests.doubles.live_server import live_server, offline
from tests.doubles.telegram_api.server import TelegramServer
from tests.doubles.websites import Served, WebSite
from tests.flow.live.conftest import Start
from tests.flow.memory.test_prompts import will_call, will_say
from tests.flow.web.test_pages import ARTICLE, PNG


@pytest.fixture
async def site() -> AsyncGenerator[WebSite]:
    async with WebSite(ports=0) as site:
        found = {"results": [{"title": "Rivers", "url": "https://example.org/rivers", "content": "Long ones."}]}
        site.pages |= {
            "/rivers": Served(ARTICLE.encode()),
            "/search": Served(orjson.dumps(found), "application/json"),
            "/dot.png": Served(PNG, "image/png"),
        }
        yield site


def web_of(site: WebSite) -> dict[str, object]:
    return {"allow": [site.at], "search": {"searxng": f"http://{site.at}", "ddgs": None}}


_PAGE = "Paragraph 3 tells how the river runs"
_FOUND = "[SearXNG answers]\n1. Rivers\n   https://example.org/rivers\n   Long ones."
SAID = {
    "fetch http://{at}/rivers": _PAGE,
    "Please open the page http://{at}/rivers.": _PAGE,
    "Lies bitte die Seite http://{at}/rivers": _PAGE,
    "Ada: hole http://{at}/rivers!": _PAGE,
    "search the web for rivers of Europe": _FOUND,
    "Suche im Web nach Flüssen": _FOUND,
    "fetch http://169.254.169.254/latest": "http://169.254.169.254/latest can't be fetched: it is on a private network",
    "fetch http://{at}/none": "can't be fetched: it answers 404 Not Found: Nothing here.",
}


async def test_without_a_key(site: WebSite, tmp_path: Path) -> None:
    with live_server(tmp_path, config={**offline(), "web": web_of(site)}) as server:
        async with httpx2.AsyncClient(base_url=server.url, timeout=30) as client:
            for number, (said, answer) in enumerate(SAID.items()):
                body = {"messages": [{"role": "user", "content": said.format(at=site.at)}], "session_id": f"s{number}"}
                response = await client.post("/v1/chat/completions", json=body)
                assert response.status_code == 200, response.text
                assert answer in response.json()["choices"][0]["message"]["content"], said


async def test_a_model_reads_a_page_and_sees_a_picture_and_the_answer_says_what_was_fetched(site: WebSite, start: Start) -> None:
    live = await start(web=web_of(site), secrets={"key": {"value": "s3cret-of-the-house", "hosts": [site.at]}})
    will_call(live.model, "fetch_page", url=f"http://{site.at}/rivers", headers={"x-api-key": "{{secret:key}}"})
    will_call(live.model, "fetch_page", url=f"http://{site.at}/dot.png")
    will_say(live.model, "It is about rivers.")
    answer = (await live.ask(f"What do http://{site.at}/rivers and http://{site.at}/dot.png say?")).json()
    assert [(each["kind"], each["ref"]) for each in answer["nanobot"]["effects"]] == [
        ("fetched", f"http://{site.at}/rivers"),
        ("fetched", f"http://{site.at}/dot.png"),
    ]
    assert site.asked[0].headers["x-api-key"] == "s3cret-of-the-house"
    read = next(each for each in live.asked()["messages"] if each["role"] == "tool")
    assert "Paragraph 29 tells how" in read["content"]
    assert b"data:image/png;base64" in live.model.bodies[-1]
    files = [path for path in live.home.rglob("*") if path.is_file() and path.name != "config.json"]
    assert live.server.log in files
    assert [path.name for path in files if b"s3cret-of" in path.read_bytes()] == []
    assert not any(b"s3cret-of" in each for each in live.model.bodies)


async def test_on_telegram(site: WebSite, start: Start) -> None:
    async with TelegramServer() as telegram:
        channel = {"enabled": True, "token": telegram.token, "apiBase": telegram.url, "owners": ["42"]}
        live = await start(channels={"telegram": channel}, web=web_of(site))
        will_call(live.model, "search_web", query="rivers")
        will_call(live.model, "fetch_page", url=f"http://{site.at}/rivers")
        will_say(live.model, "The Rhine has 1230 km.")
        telegram.say(42, f"How long is the Rhine? Look at http://{site.at}/rivers, too")
        await telegram.until(partial(_answered, telegram), 20)
        assert telegram.texts(42)[-1].startswith("The Rhine has 1230 km.")
        assert site.paths == ["/search?q=rivers&format=json", "/rivers"]


def _answered(telegram: TelegramServer) -> bool:
    return bool(telegram.texts(42))
