"""A stand-in for Discord on loopback.

    async with DiscordApi() as discord:                       in a test
        channel = discord.world.dm(discord.world.user("alice"))
        discord.world.write(channel, alice, "hello")          what people do there
        discord.faults.too_many(retry_after=30)               what goes wrong
        await discord.until(lambda: len(discord.world.ledger) == 1)

    with DiscordThread() as thread:                           beside a process that is started and killed
        thread.do(lambda discord: discord.world.write(…))

An adapter reaches it with `settings(…)`: `apiBase` and `token`.
"""

import asyncio
import threading
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Self, TypeVar

from aiohttp import web

from tests.doubles.discord_api.faults import Fault, Faults
from tests.doubles.discord_api.gateway import Gateway
from tests.doubles.discord_api.rest import Refused, Rest, answer
from tests.doubles.discord_api.world import World

T = TypeVar("T")
_BASE = "/api/v10"
_OPEN_TO_ALL = ("/cdn/", "/gateway", f"{_BASE}/interactions/")


class DiscordApi:
    """The server, what it holds, and the ledger of what it accepted (`world.ledger`). Used on one event loop."""

    def __init__(self, *, port: int = 0, token: str = "token.of.bot") -> None:
        self._changed = asyncio.Event()
        self._closing = asyncio.Event()
        self.gateway = Gateway(self.changed)
        self.world = World(self.gateway.emit)
        self.rest = Rest(self.world)
        self.faults = Faults()
        self.token = token
        self._port = port
        self._hanging: set[asyncio.Task[object]] = set()

    async def __aenter__(self) -> Self:
        app = web.Application(middlewares=[self._around], client_max_size=64 * 1024 * 1024)
        for method, path, handler in self.rest.routes():
            app.router.add_route(method, _BASE + path, handler)
        app.router.add_get("/gateway", partial(self.gateway.serve, world=self.world))
        app.router.add_get("/cdn/{path:.*}", self._file)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2, handler_cancellation=True)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port, backlog=1024)
        await site.start()
        self._port = self._runner.addresses[0][1]
        self.world.base = f"http://127.0.0.1:{self._port}"
        self.gateway.url = f"ws://127.0.0.1:{self._port}/gateway"
        self.gateway.token = self.token
        self._pump = asyncio.create_task(self.gateway.pump())
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._closing.set()
        await self.gateway.drop()
        await self._runner.cleanup()
        self._pump.cancel()
        await asyncio.gather(self._pump, return_exceptions=True)

    @property
    def port(self) -> int:
        return self._port

    def settings(self, **more: object) -> dict[str, object]:
        """Of `channels.discord`, so that the adapter comes here."""
        return {"enabled": True, "token": self.token, "apiBase": f"{self.world.base}{_BASE}", **more}

    def changed(self) -> None:
        """Something happened: `until` checks again."""
        self._changed.set()

    async def until(self, holds: Callable[[], object], within: float = 60.0) -> None:
        """Wait until `holds`; checked after every request and event. Raises TimeoutError."""
        async with asyncio.timeout(within):
            while not holds():
                self._changed.clear()
                await self._changed.wait()

    async def revoke(self) -> None:
        """The token is reset: nothing is answered to the old one, and its sockets are closed."""
        self.token = self.gateway.token = "another"
        await self.gateway.close(4004)

    @web.middleware
    async def _around(self, request: web.Request, handler: Callable[[web.Request], object]) -> web.StreamResponse:
        try:
            return await self._answer(request, handler)
        finally:
            self.changed()

    async def _answer(self, request: web.Request, handler: Callable[..., object]) -> web.StreamResponse:
        path = request.path.removeprefix(_BASE)
        fault = self.faults.take(request.method, path)
        if self.faults.latency:
            await asyncio.sleep(self.faults.latency)
        if fault is not None and fault.kind in ("answer", "hang", "reset"):
            return await self._fail(request, fault)
        if not request.path.startswith(_OPEN_TO_ALL) and request.headers.get("Authorization") != f"Bot {self.token}":
            return answer({"message": "401: Unauthorized", "code": 0}, 401)
        try:
            response = await handler(request)  # pyright: ignore[reportGeneralTypeIssues, reportUnknownVariableType]
        except Refused as refused:
            return refused.answer
        if fault is not None:
            self.changed()
            return await self._fail(request, fault)
        assert isinstance(response, web.StreamResponse)
        return response

    async def _fail(self, request: web.Request, fault: Fault) -> web.StreamResponse:
        if fault.kind.startswith("hang"):
            await self._closing.wait()
        elif fault.kind.startswith("reset"):
            if request.transport is not None:
                request.transport.abort()
        elif isinstance(fault.body, str):
            return web.Response(status=fault.status, text=fault.body, content_type="text/html", headers=fault.headers)
        else:
            body = {"message": "Something went wrong", "code": 0} if fault.body is None else fault.body
            return answer(body, fault.status, dict(fault.headers))
        return web.Response(status=500)

    async def _file(self, request: web.Request) -> web.StreamResponse:
        data = self.world.cdn.get(request.path)
        if data is None:
            return web.Response(status=404, text="This content is no longer available.")
        response = web.StreamResponse()  # without a length: clients must not rely on it
        await response.prepare(request)
        await response.write(data)
        return response


class DiscordThread:
    """The same on a thread of its own, for tests that are not on an event loop and for other processes."""

    def __init__(self, *, port: int = 0) -> None:
        self._port = port
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="discord-stand-in", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._started.wait(60):
            raise TimeoutError("the stand-in did not start")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(60)

    def do(self, action: Callable[[DiscordApi], T]) -> T:
        """Do something with it, on its thread, and give back what came of it."""

        async def act() -> T:
            return action(self._api)

        return asyncio.run_coroutine_threadsafe(act(), self._loop).result(60)

    def until(self, holds: Callable[[DiscordApi], object], within: float = 60.0) -> None:
        """See `DiscordApi.until`."""
        waiting = self._api.until(lambda: holds(self._api), within)
        asyncio.run_coroutine_threadsafe(waiting, self._loop).result(within + 5)

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        async with DiscordApi(port=self._port) as self._api:
            self._started.set()
            await self._stop.wait()
