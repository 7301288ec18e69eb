"""A stand-in for signal-cli's daemon, with its JSON-RPC by HTTP and by TCP.

https://github.com/AsamK/signal-cli/blob/master/man/signal-cli-jsonrpc.5.adoc, …/src/main/java/org/asamk/signal/json/
"""

import asyncio
import base64
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Self
from urllib.parse import unquote

import orjson
from aiohttp import web

from assistant.testing.platform import Failure, Seen
from tests.doubles.channel_server import ChannelServer

ACCOUNT = "+491700000000"
ME = "00000000-0000-4000-8000-000000000001"
NOW = 1_790_000_000_000
RECEIVER = {"recipientAddress": {"uuid": "00000000-0000-4000-8000-00000000000a", "number": None}}


class SignalServer(ChannelServer):
    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[str, dict[str, Any]]] = []
        """(method, params) of every call, in order."""
        self.files: dict[str, bytes] = {}
        self.instead: dict[str, Any] = {}
        """What a look for a file is answered with, in place of what it should be."""
        self.account = ACCOUNT
        self.tcp = ""
        self._events: list[bytes] = []
        self._streams: set[asyncio.Queue[None]] = set()
        self._readers: set[asyncio.Task[Any]] = set()
        self._sockets: set[asyncio.StreamWriter] = set()
        self._waiting: list[bytes] = []
        """What came while no socket was connected: it stays at Signal's server (`--receive-mode=on-connection`)."""
        self._time = NOW
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        self._server = await asyncio.start_server(self._socket, "127.0.0.1", 0, limit=1 << 24)
        self.tcp = f"tcp://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *error: object) -> None:
        assert self._server is not None
        self._server.close()
        self.drop()
        await super().__aexit__(*error)

    def routes(self, app: web.Application) -> None:
        app.router.add_post("/api/v1/rpc", self._rpc)
        app.router.add_get("/api/v1/events", self._stream)

    def is_send(self, request: web.Request) -> bool:
        return False  # only the call's method says so

    def refusals(self) -> Mapping[Failure, Callable[[], web.StreamResponse]]:
        return {"unauthorized": lambda: web.json_response(_UNKNOWN)}

    def tell(self, envelope: Mapping[str, Any], **more: Any) -> None:
        """An envelope came from Signal."""
        self.raw(orjson.dumps({"envelope": envelope, "account": self.account, **more}))

    def raw(self, params: bytes) -> None:
        line = b'{"jsonrpc":"2.0","method":"receive","params":' + params + b"}\n"
        self._events.append(params)
        for stream in self._streams:
            stream.put_nowait(None)
        for writer in self._sockets:
            writer.write(line)
        if not self._sockets:
            self._waiting.append(line)

    def drop(self) -> None:
        for reader in self._readers:
            reader.cancel()
        for writer in list(self._sockets):
            writer.transport.abort()
        self._sockets.clear()

    async def _rpc(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        how, answer = await self._called(body)
        if how == "lose" and request.transport is not None:
            request.transport.abort()
        if how == "garbage":
            return web.Response(text="<html>a proxy's page")
        return web.json_response(answer)

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        after = request.headers.get("Last-Event-ID", "")
        at = int(after) if after.isdigit() else len(self._events)
        stream = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await stream.prepare(request)
        news: asyncio.Queue[None] = asyncio.Queue()
        task = asyncio.current_task()
        assert task is not None
        self._readers.add(task)
        self._streams.add(news)
        try:
            await stream.write(b":\n\n")
            while True:
                for event in self._events[at:]:
                    at += 1
                    await stream.write(b"event:receive\nid:%d\ndata:%b\n\n" % (at, event))
                await news.get()
        finally:
            self._readers.discard(task)
            self._streams.discard(news)

    async def _socket(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._sockets.add(writer)
        waiting, self._waiting = self._waiting, []
        writer.writelines(waiting)
        calls: set[asyncio.Task[None]] = set()
        try:
            while line := await reader.readline():
                call = asyncio.create_task(self._on_socket(line, writer))
                calls.add(call)
                call.add_done_callback(calls.discard)
        except OSError:
            pass
        finally:
            for call in calls:
                call.cancel()
            self._sockets.discard(writer)
            writer.close()

    async def _on_socket(self, line: bytes, writer: asyncio.StreamWriter) -> None:
        how, answer = await self._called(orjson.loads(line))
        if how == "lose":
            writer.transport.abort()
        elif how == "garbage":
            writer.write(orjson.dumps({"id": answer["id"], "jsonrpc": "2.0"}) + b"\n")
        else:
            writer.write(orjson.dumps(answer) + b"\n")

    async def _called(self, body: Any) -> tuple[Failure | None, Any]:
        method, params, id = body["method"], body["params"], body["id"]
        self.calls.append((method, params))
        base: dict[str, Any] = {"jsonrpc": "2.0", "id": id}
        if self._always == "unauthorized" or params.get("account") != self.account:
            return None, _UNKNOWN | {"id": id}
        match method:
            case "version":
                return None, base | {"result": {"version": "0.13.20"}}
            case "getUserStatus":
                return None, base | {"result": [{"recipient": ACCOUNT, "number": ACCOUNT, "uuid": ME, "isRegistered": True}]}
            case "getAttachment" if "data" in self.instead:
                return None, base | {"result": self.instead}
            case "getAttachment" if params["id"] in self.files:
                return None, base | {"result": {"data": base64.b64encode(self.files[params["id"]]).decode()}}
            case "getAttachment":
                return None, base | error(-1, "Could not find attachment with ID: " + params["id"])
            case "send":
                how = self._fault_of(params)
                return how, base | await self._send(params, how)
            case _:
                return None, {**base, "result": None}

    def _fault_of(self, params: Mapping[str, Any]) -> Failure | None:
        how = self._faults[0] if self._faults else None
        if how is None or (how == "form" and "textStyle" not in params) or (how == "files" and "attachment" not in params):
            return None
        self._faults.popleft()
        return how

    async def _send(self, params: Mapping[str, Any], how: Failure | None) -> dict[str, Any]:
        match how:
            case "hold":
                await asyncio.Event().wait()
            case "refuse":
                return {"result": {"timestamp": NOW, "results": [RECEIVER | {"type": "UNREGISTERED_FAILURE"}]}}
            case "limit":
                result = RECEIVER | {"type": "RATE_LIMIT_FAILURE", "token": "t", "retryAfterSeconds": 30}
                return error(-5, "Failed to send message due to rate limiting", {"response": {"timestamp": NOW, "results": [result]}})
            case "server_error":
                return error(-3, "Failed to send message: Connection reset (IOException)")
            case "form":
                return error(-1, "Invalid style: " + params["textStyle"][0])
            case "files":
                return error(-32603, "Failed to send message: file: too large (AttachmentInvalidException)")
            case _:
                pass
        return self._accept(params)

    def _accept(self, params: Mapping[str, Any]) -> dict[str, Any]:
        text, chat = params["message"], params.get("groupId") or params.get("recipient")
        files = tuple(unquote(uri.split(";filename=")[1].split(";")[0]) for uri in params.get("attachment", ()))
        for style in params.get("textStyle", ()):
            start, length, name = style.split(":")
            assert int(start) + int(length) <= len(text.encode("utf-16-le")) // 2
            assert name in ("BOLD", "ITALIC", "STRIKETHROUGH", "SPOILER", "MONOSPACE")
        if not (text or files):
            return error(-1, "Sending empty message is not allowed, either a message, attachment or sticker must be given.")
        if chat is None or not (len(chat) == 36 or chat.endswith("=")):
            return error(-1, "Invalid phone number (that is not a UUID)")
        self._time += 1
        if "editTimestamp" in params:
            before = f"{params['editTimestamp']}:me"
            self.accepted[before] = replace(self.accepted[before], text=text, edited=True)
        else:
            author = params.get("quoteAuthor")
            quoted = f"{params['quoteTimestamp']}:{'me' if author in (ME, ACCOUNT) else author}" if author else None
            id = f"{self._time}:me"
            self.accepted[id] = Seen(id=id, text=text, chat_id=chat, reply_to=quoted, files=files)
        return {"result": {"timestamp": self._time, "results": [RECEIVER | {"type": "SUCCESS"}]}}


def error(code: int, words: str, data: object = None) -> dict[str, Any]:
    return {"error": {"code": code, "message": words, "data": data}}


_UNKNOWN: dict[str, Any] = {"jsonrpc": "2.0", "id": None, **error(-32602, "Method requires valid account parameter")}
