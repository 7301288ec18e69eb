"""`PlatformHttp` sends each request once."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from assistant.contracts.channels import SendLater, SendRefused
from channels.kit.http import Answered, PlatformHttp, Unanswered


async def test_a_put_whose_answer_is_lost_is_sent_once():
    """aiohttp repeats an idempotent method by itself where the connection was used before."""
    seen: list[str] = []

    async def handle(request: web.Request) -> web.Response:
        seen.append(request.method)
        if request.method == "PUT" and request.transport is not None:
            request.transport.abort()
        return web.Response(text="{}")

    app = web.Application()
    app.router.add_route("*", "/x", handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    http = PlatformHttp("test", version="1", base=f"http://127.0.0.1:{runner.addresses[0][1]}")
    try:
        await http.json("GET", "/x")
        with pytest.raises(Unanswered):
            await http.json("PUT", "/x", json={})
    finally:
        await http.close()
        await runner.cleanup()
    assert seen == ["GET", "PUT"]


async def test_a_file_is_fetched_where_its_address_leads_without_the_credentials(tmp_path: Path):
    seen: list[tuple[str, str | None]] = []

    async def handle(request: web.Request) -> web.Response:
        seen.append((request.path, request.headers.get("Authorization")))
        if request.path == "/file":
            return web.Response(body=b"content")
        raise web.HTTPTemporaryRedirect(f"http://localhost:{request.url.port}/file" if request.path == "/x" else "/loop")

    app = web.Application()
    app.router.add_get("/{path}", handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    http = PlatformHttp("test", version="1", base=f"http://127.0.0.1:{runner.addresses[0][1]}", headers={"Authorization": "Basic x"})
    try:
        await http.download("/x", tmp_path / "in", 100, hosts=[f"http://localhost:{runner.addresses[0][1]}"], redirects=2)
        assert (tmp_path / "in").read_bytes() == b"content"
        assert seen == [("/x", "Basic x"), ("/file", None)]
        for path, redirects in (("/x", 0), ("/loop", 3)):
            with pytest.raises(SendLater):
                await http.download(path, tmp_path / "in", 100, redirects=redirects)
        assert len(seen) == 2 + 1 + 4
        for address in ("/x", f"http://localhost:{runner.addresses[0][1]}/file", "file", "http://[::1"):
            with pytest.raises(SendRefused, match="not the platform's"):
                await http.download(address, tmp_path / "other", 100, redirects=2)
        assert len(seen) == 2 + 1 + 4 + 1
        assert not (tmp_path / "other").exists()
    finally:
        await http.close()
        await runner.cleanup()


@pytest.mark.parametrize(
    "place",
    ["http://[::1", "https://e.org:99999/", "//", "x\ud800", "http://127.0.0.1:x/", "\\\\e.org\\", "data:,x", "file:///etc/passwd"],
    ids=range(8),
)
async def test_a_file_that_leads_to_no_address_is_not_fetched(tmp_path: Path, place: str):
    async def handle(request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": place.encode(errors="replace").decode()})

    async with serving(handle) as url:
        http = PlatformHttp("test", version="1", base=url)
        for address in ("/x", f"{url}/{place}", place):
            with pytest.raises((SendRefused, SendLater)):
                await http.download(address, tmp_path / "in", 100, redirects=2)
        await http.close()


async def test_what_an_error_says_is_short_and_holds_no_secret():
    async def handle(request: web.Request) -> web.Response:
        return web.json_response({"error": {"message": "x" * 1990 + "s3cr3t-token" * 1000}}, status=400)

    async with serving(handle) as url:
        http = PlatformHttp("test", version="1", base=url, secrets=["s3cr3t-token"])
        with pytest.raises(Answered) as answered:
            await http.json("POST", "/x", json={})
        await http.close()
    assert len(answered.value.words) <= 2000
    assert "s3cr" not in answered.value.words


@asynccontextmanager
async def serving(handle: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> AsyncGenerator[str]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def test_a_bearer_goes_to_the_platform_only_and_into_no_words():
    seen: list[str | None] = []

    async def handle(request: web.Request) -> web.Response:
        seen.append(request.headers.get("Authorization"))
        return web.json_response({"message": "a-long-token is wrong"}, status=400)

    app = web.Application()
    app.router.add_get("/{path}", handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    http = PlatformHttp("test", version="1", base=f"http://127.0.0.1:{port}", bearer="a-long-token")
    try:
        for url in ("/x", f"http://localhost:{port}/x"):
            with pytest.raises(Answered) as refused:
                await http.json("GET", url)
            assert "a-long-token" not in refused.value.words
    finally:
        await http.close()
        await runner.cleanup()
    assert seen == ["Bearer a-long-token", None]
