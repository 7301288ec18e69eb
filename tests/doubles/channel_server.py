"""A stand-in for a platform with an HTTP API on loopback: it keeps what it accepted, and fails as it is told to."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Self

from aiohttp import web

from assistant.testing.platform import Failure, Seen

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_LASTING: frozenset[Failure] = frozenset({"unauthorized", "blocked"})


class ChannelServer:
    """Derive a platform's stand-in: `routes` adds its handlers, `is_send` names the requests that faults are about, and `refusals` holds the
    platform's own answers to each fault (with the address of the documents that say so). What a handler accepts it puts into `accepted`, by id.

    "lose", "garbage": the handler runs, then the answer is cut off or unreadable. "hold": nothing happens, and no answer comes. Every other fault is
    answered from `refusals`; a handler can ask `fault` for those that depend on the request (form, files, reply_gone …).
    """

    lasting: frozenset[Failure] = _LASTING

    def __init__(self) -> None:
        self.accepted: dict[str, Seen] = {}
        self.requests: list[tuple[str, str]] = []
        """(method, path) of every request, in order."""
        self.url = ""
        self.silent = ""
        """Requests whose path ends so get no answer."""
        self.says: bytes | None = None
        """What is answered to sends that are carried out; None: what the platform says."""
        self.odd: tuple[int, bytes] | None = None
        """(status, body) that is answered to everything; None: what the platform says."""
        self._faults: deque[Failure] = deque()
        self._always: Failure | None = None
        self._runner: web.AppRunner | None = None
        self._requested = asyncio.Event()

    def routes(self, app: web.Application) -> None:
        raise NotImplementedError

    def is_send(self, request: web.Request) -> bool:
        raise NotImplementedError

    def refusals(self) -> Mapping[Failure, Callable[[], web.StreamResponse]]:
        """The platform's answers to "refuse", "limit" (30 s), "server_error", "unauthorized", "blocked" …"""
        raise NotImplementedError

    def drop(self) -> None:
        """Every connection breaks; new ones are taken."""
        raise NotImplementedError

    def fail(self, how: Failure) -> None:
        if how in self.lasting:
            self._always = how
        else:
            self._faults.append(how)

    def heal(self) -> None:
        self._always = None
        self._faults.clear()

    def fault(self, *kinds: Failure) -> bool:
        """Whether the next fault is one of these, which the handler answers itself; it is used up."""
        if self._faults and self._faults[0] in kinds:
            self._faults.popleft()
            return True
        return False

    async def until(self, condition: Callable[[], bool], within: float = 60.0) -> None:
        """Wait until the condition holds; it is looked at when a request comes and when it ends. Raises TimeoutError."""
        async with asyncio.timeout(within):
            while not condition():
                self._requested.clear()
                await self._requested.wait()

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=64 << 20, middlewares=[self._handle])
        self.routes(app)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    @web.middleware
    async def _handle(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await self._answer(request, handler)
        finally:
            self._requested.set()

    async def _answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self.requests.append((request.method, request.path))
        self._requested.set()
        if self.odd is not None:
            return web.Response(status=self.odd[0], body=self.odd[1], content_type="application/json")
        if self._always == "unauthorized":
            return self.refusals()["unauthorized"]()
        if self.silent and request.path.endswith(self.silent):
            return _cut(request)
        if not self.is_send(request):
            return await handler(request)
        if self._always is not None:
            return self.refusals()[self._always]()
        how = self._faults[0] if self._faults else None
        if how == "hold":
            self._faults.popleft()
            await asyncio.Event().wait()
        if how in ("lose", "garbage"):
            self._faults.popleft()
            await handler(request)
            if how == "garbage":
                return web.Response(text="<html>a proxy's page")
            return _cut(request)
        if how in ("refuse", "limit", "server_error"):
            self._faults.popleft()
            return self.refusals()[how]()
        answer = await handler(request)
        return answer if self.says is None else web.Response(body=self.says, content_type="application/json")


def _cut(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()
