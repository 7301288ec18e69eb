"""The stand-in's HTTP side."""

import asyncio
import contextlib
import re
import socket
from collections.abc import Callable
from types import TracebackType

from aiohttp import web

from tests.doubles.live_server import held_port
from tests.doubles.telegram_api.faults import Fault, Refusal
from tests.doubles.telegram_api.params import Params
from tests.doubles.telegram_api.polling import Updates

TOKEN = "123456:TEST-token-that-is-no-secret"
_TOKEN_FORM = re.compile(r"\d+:[\w-]+")
_GARBAGE = b"<html>this is not json</html>"


class TelegramServer(Updates):
    """The Bot API on a loopback port. One bot, any number of chats."""

    def __init__(self, *, port: int = 0, token: str = TOKEN, latency: float = 0.0) -> None:
        """`latency`: seconds that every request but getUpdates takes."""
        super().__init__()
        self.token = token
        self.latency = latency
        self.requests: list[str] = []
        """The method of every request that came with the right token, in order."""
        self.last_headers: dict[str, str] = {}
        self._port = port
        self._held: socket.socket | None = None
        self._faults: list[Fault] = []
        self._connections: set[asyncio.Transport] = set()

    @property
    def url(self) -> str:
        """What `channels.telegram.apiBase` is set to."""
        return f"http://127.0.0.1:{self._port}"

    async def __aenter__(self) -> "TelegramServer":
        self._loop = asyncio.get_running_loop()
        self.woken = self._wake
        if not self._port:
            self._held = held_port()  # also while it has vanished
            self._port = int(self._held.getsockname()[1])
        app = web.Application(client_max_size=70_000_000)
        app.router.add_route("*", "/bot{token}/{method}", self._handle)
        app.router.add_get("/file/bot{token}/{path:.+}", self._download)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handle_signals=False)
        await self._runner.setup()
        await self._listen()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.closing.set()
        self._changed.set()
        await self._runner.cleanup()
        if self._held is not None:
            self._held.close()

    async def _listen(self) -> None:
        self._site = web.TCPSite(self._runner, "127.0.0.1", self._port, backlog=1024)
        await self._site.start()

    async def vanish(self) -> None:
        """The network is lost: nothing listens, and open connections break."""
        await self._site.stop()
        self.drop()

    def drop(self) -> None:
        """Open connections break; new ones are taken."""
        for transport in list(self._connections):
            transport.abort()

    async def come_back(self) -> None:
        await self._listen()

    def fail(self, *faults: Fault) -> None:
        """Faults for matching requests, the first match first. Any thread."""
        self._faults.extend(faults)

    def clear_faults(self) -> None:
        """Remove all faults."""
        self._faults.clear()

    async def until(self, holds: Callable[[], bool], within: float = 60.0) -> None:
        """Return when `holds`; looked at after every request and update. For tests on the same loop. Raises TimeoutError."""
        async with asyncio.timeout(within):
            while not holds():
                self.seen.clear()
                await self.seen.wait()

    def _wake(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop was closed
            self._loop.call_soon_threadsafe(self._rouse)

    def _rouse(self) -> None:
        self._changed.set()
        self.seen.set()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        self._connections = {each for each in self._connections if not each.is_closing()} | {request.transport}
        name = request.match_info["method"]
        try:
            self._admit(request.match_info["token"])
            self.requests.append(name)
            self.last_headers = dict(request.headers)
            params = await Params.of(request)
            answer = await self._carry_out(request, name, params)
        except Refusal as refusal:
            answer = web.json_response(refusal.body(), status=refusal.code)
        except ConnectionResetError:  # its sender was killed in the middle of the request
            answer = web.Response(status=499)
        self.seen.set()
        return answer

    def _admit(self, token: str) -> None:
        if not _TOKEN_FORM.fullmatch(token):
            raise Refusal(404, "Not Found")
        if token != self.token:
            raise Refusal(401, "Unauthorized")

    async def _carry_out(self, request: web.Request, name: str, params: Params) -> web.StreamResponse:
        fault = next((each for each in self._faults if each.fits(name, params.text("chat_id") or None)), None)
        if fault is not None:
            fault.met += 1
            await self._befall(fault, request, "before")
        if self.latency and name.lower() != "getupdates":
            await asyncio.sleep(self.latency)
        result = await self._call(name.lower(), params)
        if fault is not None:
            await self._befall(fault, request, "after")
            return web.Response(body=_GARBAGE, content_type="text/html")
        return web.json_response({"ok": True, "result": result})

    async def _call(self, method: str, params: Params) -> object:
        match method:
            case "getupdates":
                return await self.get_updates(params)
            case "setwebhook":
                return self.set_webhook(params)
            case "deletewebhook":
                return self.delete_webhook(params)
            case "getwebhookinfo":
                return self.webhook_info(params)
            case _ if method in self.methods:
                return self.methods[method](params)
            case _:
                raise Refusal(404, "Not Found: method not found")

    async def _befall(self, fault: Fault, request: web.Request, when: str) -> None:
        self.seen.set()
        if fault.kind == "answer":
            raise fault.refusal()
        if fault.kind == f"hang_{when}":
            await self.closing.wait()
        if fault.kind == f"reset_{when}" and request.transport is not None:
            request.transport.abort()
        if fault.kind in (f"hang_{when}", f"reset_{when}"):
            raise Refusal(500, "this answer is not sent")

    async def _download(self, request: web.Request) -> web.StreamResponse:
        self._admit_file(request.match_info["token"])
        for path, data in self.files.values():
            if path == request.match_info["path"]:
                return web.Response(body=data)
        raise web.HTTPNotFound

    def _admit_file(self, token: str) -> None:
        if token != self.token:
            raise web.HTTPNotFound
