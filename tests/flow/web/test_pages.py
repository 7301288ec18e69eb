"""What is at an address, in words: the tool on the real fetcher, the real reader in its child, and sites on loopback."""

import asyncio
import zlib
from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path

import pytest

from assistant.fetching.hosts import HostLimits
from tests.documents.making import pdf, show
from tests.doubles.websites import Asked, Served, WebSite
from tests.flow.web.rig import CONTEXT, Web, open_web

PARAGRAPHS = "".join(f"<p>Paragraph {n} tells how the river runs through the valley, <a href='/r/{n}'>part {n}</a>.</p>" for n in range(30))
ARTICLE = f"""<!doctype html><html><head><title>Rivers - The Daily</title><meta property="article:published_time" content="2026-10-03">
<meta property="og:title" content="Rivers of Europe"></head><body><nav><a href="/home">Home</a> <a href="mailto:a@b.c">Mail</a></nav><main><article>
<h1>Rivers of Europe</h1>{PARAGRAPHS}<table><tr><th>River</th><th>km</th></tr><tr><td>Rhine</td><td>1230</td></tr></table></article></main>
<script>var secret = 1</script><footer>Imprint <a href="javascript:go()">go</a><a href="/imprint#top">Imprint</a></footer></body></html>"""
REPORT = pdf([show("Words of a report")])
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d494844520000000100000001080200000090"
    "7753de0000000c49444154789c63f8cfc0000003010100c9fe92ef0000000049454e44ae426082"
)


@pytest.fixture
async def site() -> AsyncGenerator[WebSite]:
    async with WebSite(ports=0) as site:
        yield site


@pytest.fixture
async def web(tmp_path: Path, site: WebSite) -> AsyncGenerator[Web]:
    async with open_web(tmp_path, allow=[site.at]) as web:
        yield web


async def test_an_article_is_its_own_words_with_title_date_and_links(site: WebSite, web: Web) -> None:
    site.pages["/a/article"] = Served(ARTICLE.encode())
    message = await web.fetch(f"http://{site.at}/a/article#part", links=True)
    head, *_ = message.text.splitlines()
    assert head.startswith(f"[Rivers of Europe · http://{site.at}/a/article · 2026-10-03 · characters 0 to ")
    assert "Paragraph 29 tells how" in message.text
    assert "| Rhine | 1230 |" in message.text
    assert "Home" not in message.text.partition("Links:")[0]
    assert "secret" not in message.text
    links = message.text.partition("Links:\n")[2].splitlines()
    assert links[0] == f"1. part 0: http://{site.at}/r/0"
    assert links[-2:] == [f"31. Home: http://{site.at}/home", f"32. Imprint: http://{site.at}/imprint"]
    assert [(effect.kind, effect.ref) for effect in message.effects] == [("fetched", f"http://{site.at}/a/article")]
    assert site.asked[0].headers["user-agent"] == "test/1"


async def test_a_page_without_an_article_is_read_whole(site: WebSite, web: Web) -> None:
    rows = "".join(f"<li><a href='x{n}'>Entry {n}</a></li>" for n in range(40))
    site.pages["/list/"] = Served(f"<title>All</title><base href='/deep/'><body><ul>{rows}</ul>".encode())
    message = await web.fetch(f"http://{site.at}/list/", links=True)
    assert "Entry 39" in message.text
    assert f"1. Entry 0: http://{site.at}/deep/x0" in message.text


async def test_a_long_page_is_read_on_from_memory_for_a_quarter_of_an_hour(site: WebSite, web: Web) -> None:
    site.pages["/long"] = Served("\n".join(f"Line {n}" for n in range(5_000)).encode(), "text/plain")
    url = f"http://{site.at}/long"
    first = await web.fetch(url)
    assert f'fetch_page(url="{url}", offset=15000) goes on.' in first.text
    second = await web.fetch(url, offset=15_000)
    assert "characters 15,000 to 30,000 of 48,889" in second.text
    assert "End of the page" in (await web.fetch(url, offset=45_000)).text
    assert "beyond its end" in (await web.fetch(url, offset=50_000)).text
    assert len(site.asked) == 1
    await web.fetch(url, ctx=replace(CONTEXT, owner="ben"))
    await web.fetch(url, headers={"Accept": "text/plain"})
    assert len(site.asked) == 3
    web.now[0] += 901
    await web.fetch(url)
    assert len(site.asked) == 4


@pytest.mark.parametrize(
    ("data", "kind", "found"),
    [
        (b'{"a": [1, 2]}', "application/json", '{"a": [1, 2]}'),
        (b'{"a": 1}', "application/problem+json; charset=utf-8", '{"a": 1}'),
        ("größer".encode("latin-1"), "text/plain; charset=iso-8859-1", "größer"),
        ("größer".encode("cp1252"), "text/plain; charset=punycode", "größer"),
        ("größer".encode(), "text/plain; charset=undefined", "größer"),
        ("日本".encode("shift_jis"), "text/plain; charset=Shift_JIS", "日本"),
        ("<p>größer".encode("latin-1"), "text/html; charset=iso-8859-1", "größer"),
        ('<meta charset="iso-8859-1"><p>größer'.encode(), "text/html; charset=utf-8", "größer"),
        ('<meta charset="windows-1251"><p>река'.encode("cp1251"), "text/html", "река"),
        (b"<html><p>source", "text/plain", "<html><p>source"),
        (b"a,b\n1,2", "text/csv", "a,b\n1,2"),
        (b"<feed><title>News</title></feed>", "application/atom+xml", "<title>News</title>"),
        (REPORT, "application/pdf", "Words of a report"),
        (REPORT, "application/octet-stream", "Words of a report"),
        (REPORT, "text/html", "Words of a report"),
        (b"just words", "application/octet-stream", "just words"),
    ],
)  # fmt: skip
async def test_each_kind_is_read_as_what_it_is(site: WebSite, web: Web, data: bytes, kind: str, found: str) -> None:
    site.pages["/it"] = Served(data, kind)
    message = await web.fetch(f"http://{site.at}/it")
    assert found in message.text, message.text


async def test_a_picture_is_seen_by_a_model_that_takes_pictures(site: WebSite, web: Web) -> None:
    site.pages["/dot.png"] = Served(PNG, "image/png")
    message = await web.fetch(f"http://{site.at}/dot.png")
    (image,) = message.images
    assert (image.name, image.width, image.height, image.media_type) == ("dot.png", 1, 1, "image/png")
    assert (await web.store.attachments.images([image]))[image.attachment_id].startswith(b"\x89PNG")
    blind = await web.fetch(f"http://{site.at}/dot.png", ctx=replace(CONTEXT, pictures=0))
    assert (blind.images, blind.text.splitlines()[-1]) == ((), "This model does not take pictures.")


def bomb(_: Asked) -> Served:
    packer, packed = zlib.compressobj(9, zlib.DEFLATED, 31), bytearray()
    for _again in range(200):
        packed += packer.compress(b"a" * 1_000_000)
    return Served(bytes(packed + packer.flush()), "text/plain", headers={"Content-Encoding": "gzip"})


FAILURES = {
    "gone": (Served(b"<html><title>Gone &amp; lost</title>", status=404), "it answers 404 Not Found: Gone & lost."),
    "broken": (Served(status=500), "it answers 500 Internal Server Error."),
    "odd": (Served(status=799), "it answers 799."),
    "empty": (Served(b" \n", "text/plain"), "it is empty."),
    "large": (Served(b"a" * 5_000_001, "text/plain"), "it has more than 5 MB."),
    "bomb": (bomb, "it has more than 5 MB."),
    "torn": (Served(b"no gzip", "text/plain", headers={"Content-Encoding": "gzip"}), "broke off or is malformed"),
    "archive": (Served(b"\x1f\x8b\x08\0\0\0\0\0", "application/gzip"), "it is application/gzip, and is a gzip archive"),
    "film": (Served(b"\0\0\0\x20ftypisom\0\0", "video/mp4"), "it is video/mp4, and is a film or a sound"),
    "damaged": (Served(b"%PDF-1.4 nothing", "application/pdf"), "it is application/pdf, and can't be read as a PDF"),
    "elsewhere": (Served(status=302, headers={"Location": "mailto:a@b.c"}), "only addresses that begin with http"),
    "spaces": (Served(status=302, headers={"Location": "http://a b/"}), "its address holds a space"),
    "malformed": (Served(status=302, headers={"Location": "http://[::1"}), "it leads to an address that is malformed"),
}


@pytest.mark.parametrize("name", FAILURES)
async def test_what_fails_is_said_in_a_sentence(site: WebSite, web: Web, name: str) -> None:
    served, why = FAILURES[name]
    site.pages["/it"] = served
    message = await web.fetch(f"http://{site.at}/it")
    assert (message.ok, message.provenance) == (False, "web")
    assert message.text.startswith(f"http://{site.at}/it can't be fetched: ")
    assert why in message.text


async def test_one_that_never_answers_is_given_up(site: WebSite, tmp_path: Path) -> None:
    site.pages["/it"] = Served(hangs=True)
    async with open_web(tmp_path / "short", allow=[site.at], seconds=0.2) as web:
        assert "it did not answer within 0.2 seconds" in (await web.fetch(f"http://{site.at}/it")).text


async def test_an_odd_page_is_read(site: WebSite, web: Web) -> None:
    odd = {
        "deep": "<div>" * 20_000 + "the bottom",
        "open": "<table><tr><td><a href='" * 500 + "'>the bottom",
        "bare": "the bottom " * 1_000,
    }
    for name, page in odd.items():
        site.pages[f"/{name}"] = Served(page.encode())
        message = await web.fetch(f"http://{site.at}/{name}")
        assert message.ok, message.text
        assert "the bottom" in message.text or name == "deep"


async def test_a_circle_ends(site: WebSite, web: Web) -> None:
    site.pages["/it"] = lambda asked: Served(status=302, headers={"Location": f"/it?{len(site.asked)}"})
    assert "it redirects too often" in (await web.fetch(f"http://{site.at}/it")).text
    assert len(site.asked) == 6


async def test_nothing_listens(web: Web, site: WebSite, tmp_path: Path) -> None:
    async with WebSite(ports=0) as gone:
        at = gone.at
    async with open_web(tmp_path / "other", allow=[at]) as other:
        assert "there is no connection to it (Connection refused)" in (await other.fetch(f"http://{at}/")).text


async def test_at_most_four_ask_a_host_at_once(site: WebSite, web: Web) -> None:
    site.pages["/it"] = Served(b"x", "text/plain")
    site.gate.clear()
    fetches = [asyncio.create_task(web.fetch(f"http://{site.at}/it?{n}")) for n in range(9)]
    async with asyncio.timeout(30):
        while len(site.asked) < 4:  # noqa: ASYNC110 - each look lets the loop run
            await asyncio.sleep(0)
    site.gate.set()
    assert all(message.ok for message in await asyncio.gather(*fetches))
    assert (site.most_at_once, len(site.asked)) == (4, 9)


async def test_a_host_is_asked_twice_a_second() -> None:
    now, slept = [100.0], list[float]()

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    limits = HostLimits(lambda: now[0], sleep)
    for host in ("a", "a", "a", "a", "b", "a"):
        async with limits.place(host):
            now[0] += 0.125
    assert slept == [0.75, 0.625]


async def test_secrets_in_what_comes_back_are_hidden(tmp_path: Path, site: WebSite) -> None:
    def echo(asked: Asked) -> Served:
        said = asked.headers["authorization"]
        return Served(f"<title>{said}</title><p>{said}</p><a href='/?{said[7:]}'>{said}</a>".encode())

    site.pages |= {"/": echo, "/no": lambda asked: replace(echo(asked), status=403)}
    secrets = {"api": {"value": "s3cret-of-the-house", "hosts": [site.at]}}
    async with open_web(tmp_path, secrets=secrets, allow=[site.at]) as web:
        message = await web.fetch(f"http://{site.at}/", headers={"Authorization": "Bearer {{secret:api}}"}, links=True)
        refused = await web.fetch(f"http://{site.at}/no", headers={"Authorization": "Bearer {{secret:api}}"})
    assert site.asked[0].headers["authorization"] == "Bearer s3cret-of-the-house"
    assert "s3cret" not in message.text
    assert message.text.count("{{secret:api}}") == 5
    assert "it answers 403 Forbidden: Bearer {{secret:api}}." in refused.text
