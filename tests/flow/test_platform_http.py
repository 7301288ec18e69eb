"""`PlatformHttp` sends each request once."""

import pytest
from aiohttp import web

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
