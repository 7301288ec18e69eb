"""A stand-in for an ntfy server. https://docs.ntfy.sh/publish/, https://docs.ntfy.sh/subscribe/api/"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import orjson
from aiohttp import web

from assistant.testing.platform import Failure, Seen
from tests.doubles.channel_server import ChannelServer

NOW = 1_790_000_000


class NtfyServer(ChannelServer):
    """Topics, their messages with the time of a counter, and streams of subscribers."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[dict[str, Any]] = []
        self.files: dict[str, bytes] = {}
        self.lines: list[bytes] = []
        """What the stream of a subscriber brings before the next message."""
        self.actions: list[dict[str, str]] = []
        """The buttons of the last message that was published with any."""
        self._news = asyncio.Condition()
        self._readers: set[asyncio.Task[Any]] = set()

    def routes(self, app: web.Application) -> None:
        app.router.add_post("/", self._publish)
        app.router.add_get("/v1/health", self._health)
        app.router.add_get("/v1/account", self._health)
        app.router.add_get("/file/{id}", self._file)
        app.router.add_put("/{topic}", self._attach)
        app.router.add_post("/{topic}", self._simple)
        app.router.add_get("/{topics}/json", self._subscribe)

    def is_send(self, request: web.Request) -> bool:
        return request.method in ("POST", "PUT")

    def refusals(self) -> Mapping[Failure, Callable[[], web.StreamResponse]]:
        """https://github.com/binwiederhier/ntfy/blob/main/server/errors.go"""

        def error(http: int, code: int, words: str, headers: Mapping[str, str] | None = None) -> Callable[[], web.StreamResponse]:
            body = {"code": code, "http": http, "error": words, "link": "https://ntfy.sh/docs/publish/"}
            return lambda: web.json_response(body, status=http, headers=headers)

        return {
            "refuse": error(403, 40301, "forbidden"),
            "limit": error(429, 42901, "limit reached: too many requests", {"Retry-After": "30"}),
            "server_error": error(500, 50001, "internal server error"),
            "unauthorized": error(401, 40101, "unauthorized"),
        }

    async def add(self, topic: str, text: str, *, id: str | None = None, attachment: Mapping[str, Any] | None = None) -> str:
        """A message that a phone published."""
        number = len(self.messages) + 1
        before = next((each["time"] for each in self.messages if each.get("id") == id), NOW + number)
        message = {"id": id or f"m{number}", "time": before, "event": "message", "topic": topic, "message": text}
        self.messages.append(message | ({"attachment": dict(attachment)} if attachment else {}))
        async with self._news:
            self._news.notify_all()
        return str(message["id"])

    def drop(self) -> None:
        for reader in self._readers:
            reader.cancel()

    async def _health(self, request: web.Request) -> web.Response:
        return web.json_response({"healthy": True})

    async def _file(self, request: web.Request) -> web.Response:
        content = self.files.get(request.match_info["id"])
        return web.Response(status=404) if content is None else web.Response(body=content)

    async def _publish(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        if len(str(body["message"]).encode()) > 4096:
            return web.json_response({"code": 40041, "http": 400, "error": "invalid request: message too long"}, status=400)
        self.actions = list(body.get("actions", ()))
        labels = tuple(action["label"] for action in body.get("actions", ()))
        return await self._accept(body["topic"], body["message"], labels=labels)

    async def _attach(self, request: web.Request) -> web.StreamResponse:
        if self.fault("files"):
            return web.json_response({"code": 41301, "http": 413, "error": "attachment too large, or bandwidth limit reached"}, status=413)
        await request.read()
        about = request.query
        actions = orjson.loads(about.get("actions", "[]"))
        self.actions = actions or self.actions
        labels = tuple(action["label"] for action in actions)
        return await self._accept(request.match_info["topic"], about.get("message", ""), labels=labels, files=(about["filename"],))

    async def _simple(self, request: web.Request) -> web.StreamResponse:
        return await self._accept(request.match_info["topic"], await request.text())

    async def _accept(self, topic: str, text: str, *, labels: tuple[str, ...] = (), files: tuple[str, ...] = ()) -> web.StreamResponse:
        id = await self.add(topic, text)
        shown = "" if files and text == files[0] else text
        self.accepted[id] = Seen(id=id, text=shown, chat_id=topic, files=files, buttons=labels)
        return web.json_response(self.messages[-1])

    async def _subscribe(self, request: web.Request) -> web.StreamResponse:
        topics, since = request.match_info["topics"].split(","), request.query.get("since", "")
        stream = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await stream.prepare(request)
        task = asyncio.current_task()
        assert task is not None
        self._readers.add(task)
        try:
            await stream.write(orjson.dumps({"id": "open", "time": NOW, "event": "open", "topic": topics[0]}) + b"\n")
            after = int(since) if since.isdigit() else 0
            at = next((place for place, each in enumerate(self.messages) if each["time"] >= after), len(self.messages))
            while True:
                for message in self.messages[at:]:
                    at += 1
                    lines, self.lines = self.lines, []
                    for line in lines:
                        await stream.write(line + b"\n")
                    if message["topic"] in topics:
                        await stream.write(orjson.dumps(message) + b"\n")
                async with self._news:
                    if at == len(self.messages):
                        await self._news.wait()
        finally:
            self._readers.discard(task)
