"""`PlatformHttp` sends each request once."""

from pathlib import Path

import pytest
from aiohttp import web

from assistant.contracts.channels import SendLater, SendRefused
from channels.kit.http import PlatformHttp, Unanswered


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
