"""A stand-in for Slack: its Web API (https://docs.slack.dev/reference/methods), Socket Mode (https://docs.slack.dev/apis/events-api/using-socket-mode)
and its signed calls (https://docs.slack.dev/authentication/verifying-requests-from-slack)."""

import asyncio
import hmac
from collections.abc import Callable, Mapping
from hashlib import sha256
from itertools import count
from typing import Any

import orjson
from aiohttp import WSMsgType, web

from assistant.testing.platform import Failure, Seen
from tests.doubles.channel_server import ChannelServer

BOT, BOT_ID = "UBOT0001", "BBOT0001"
BOT_TOKEN, APP_TOKEN, SECRET = "xoxb-" + "b" * 20, "xapp-" + "a" * 20, "s" * 32
PEOPLE = {"U0000001": "Ada", "U0000002": "Eve", BOT: "nanobot"}


def refusal(code: str, **more: object) -> web.Response:
    return web.json_response({"ok": False, "error": code, **more})


def escaped(text: str) -> str:
    """As Slack's clients send what a person types."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def signed(body: bytes, at: float, secret: str = SECRET) -> dict[str, str]:
    """The headers of Slack's call with this body at this time."""
    stamp = f"{at:.0f}"
    digest = hmac.new(secret.encode(), b"v0:" + stamp.encode() + b":" + body, sha256).hexdigest()
    return {"x-slack-request-timestamp": stamp, "x-slack-signature": f"v0={digest}"}


class SlackServer(ChannelServer):
    """Chats with their messages, and envelopes that are sent until they are acknowledged."""

    def __init__(self) -> None:
        super().__init__()
        self.history: dict[str, list[dict[str, Any]]] = {"D0000001": [], "D0000002": [], "C0000001": [], "G0000001": []}
        self.calls: list[tuple[str, dict[str, str]]] = []
        """(method, arguments) of every call."""
        self.uploads: dict[str, tuple[str, bytes]] = {}
        self.files: dict[str, tuple[bytes, str]] = {}
        """id → (content, media type), for those who show the bot's token."""
        self.pending: dict[str, dict[str, Any]] = {}
        """Envelopes that wait for an acknowledgement, by id, in order."""
        self.acknowledged: list[str] = []
        self.refusing: dict[str, str] = {}
        """method → the error that it answers from now on."""
        self.answering: dict[str, Any] = {}
        """method → the JSON of its answers from now on."""
        self.waiting: dict[str, asyncio.Event] = {}
        """method → what its answers wait for."""
        self.silent = ""
        """A method that cuts its answers off."""
        self.connected = asyncio.Event()
        self._sockets: dict[web.WebSocketResponse, asyncio.Queue[str]] = {}
        self._links: set[asyncio.Task[Any]] = set()
        self._numbers = count(1)

    def routes(self, app: web.Application) -> None:
        app.router.add_post("/api/{method}", self._call)
        app.router.add_get("/link", self._link)
        app.router.add_post("/upload/{id}", self._upload)
        app.router.add_get("/file/{id}", self._file)

    def is_send(self, request: web.Request) -> bool:
        return request.path in ("/api/chat.postMessage", "/api/files.completeUploadExternal")

    def refusals(self) -> Mapping[Failure, Callable[[], web.StreamResponse]]:
        """https://docs.slack.dev/reference/methods/chat.postMessage/#errors, https://docs.slack.dev/apis/web-api/rate-limits"""
        limited = {"ok": False, "error": "ratelimited"}
        return {
            "refuse": lambda: refusal("channel_not_found"),
            "limit": lambda: web.json_response(limited, status=429, headers={"Retry-After": "30"}),
            "server_error": lambda: web.Response(status=500, text="<html>"),
            "unauthorized": lambda: refusal("invalid_auth"),
            "blocked": lambda: refusal("messages_tab_disabled"),
        }

    def next_ts(self, ahead: float = 0.0) -> str:
        return f"{1_700_000_000 + ahead:.0f}.{next(self._numbers):06}"

    def push(self, kind: str, payload: Mapping[str, Any]) -> str:
        """An envelope for the app: "events_api", "interactive", "slash_commands"."""
        id = f"env-{next(self._numbers)}"
        self.pending[id] = {"type": kind, "envelope_id": id, "payload": payload, "accepts_response_payload": False}
        self.frame(orjson.dumps(self.pending[id]).decode())
        return id

    def frame(self, text: str) -> None:
        for queue in self._sockets.values():
            queue.put_nowait(text)

    def event(self, event: Mapping[str, Any]) -> None:
        id = next(self._numbers)
        self.push("events_api", {"type": "event_callback", "team_id": "T1", "event_id": f"Ev{id}", "event_time": 1, "event": event})

    def drop(self) -> None:
        for task in list(self._links):
            task.cancel()

    def said(self, chat: str) -> list[str]:
        return [each.text for each in self.accepted.values() if each.chat_id == chat]

    def arguments_of(self, method: str) -> list[dict[str, str]]:
        return [arguments for name, arguments in self.calls if name == method]

    async def _link(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        queue: asyncio.Queue[str] = asyncio.Queue()
        queue.put_nowait('{"type": "hello", "num_connections": 1}')
        for envelope in self.pending.values():
            queue.put_nowait(orjson.dumps(envelope | {"retry_attempt": 1}).decode())
        self._sockets[socket] = queue
        self.connected.set()
        task = asyncio.current_task()
        assert task is not None
        self._links.add(task)
        writer = asyncio.create_task(self._write(socket, queue))
        try:
            async for frame in socket:
                if frame.type is WSMsgType.TEXT and self.pending.pop(str(frame.json()["envelope_id"]), None):
                    self.acknowledged.append(frame.json()["envelope_id"])
        finally:
            self._links.discard(task)
            writer.cancel()
            self._sockets.pop(socket, None)
        return socket

    @staticmethod
    async def _write(socket: web.WebSocketResponse, queue: asyncio.Queue[str]) -> None:
        while True:
            await socket.send_str(await queue.get())

    async def _upload(self, request: web.Request) -> web.Response:
        self.uploads[request.match_info["id"]] = (self.uploads[request.match_info["id"]][0], await request.read())
        return web.Response(text="OK")

    async def _file(self, request: web.Request) -> web.Response:
        """Without a token that may read files: a page to log in."""
        found = self.files.get(request.match_info["id"])
        if found is None:
            return web.Response(status=404)
        if request.headers.get("Authorization") != f"Bearer {BOT_TOKEN}":
            return web.Response(text="<!DOCTYPE html><html>Sign in to Slack", content_type="text/html")
        return web.Response(body=found[0], content_type=found[1])

    async def _call(self, request: web.Request) -> web.StreamResponse:
        method = request.match_info["method"]
        given = {name: str(value) for name, value in (await request.post()).items()}
        self.calls.append((method, given))
        wanted = APP_TOKEN if method == "apps.connections.open" else BOT_TOKEN
        if request.headers.get("Authorization") != f"Bearer {wanted}":
            return refusal("invalid_auth")
        if method in self.waiting:
            await self.waiting[method].wait()
        if method in self.answering:
            return web.json_response(self.answering[method])
        if method == self.silent and request.transport is not None:
            request.transport.abort()
        if method in self.refusing:
            code, _, needed = self.refusing[method].partition(" ")
            return refusal(code, needed=needed)
        handler = getattr(self, "_" + method.replace(".", "_"), None)
        return handler(given) if handler is not None else refusal("unknown_method")

    def _auth_test(self, given: dict[str, str]) -> web.Response:
        return web.json_response({"ok": True, "user": "nanobot", "user_id": BOT, "bot_id": BOT_ID, "team": "Home", "team_id": "T1"})

    def _apps_connections_open(self, given: dict[str, str]) -> web.Response:
        return web.json_response({"ok": True, "url": self.url.replace("http", "ws") + "/link"})

    def _users_info(self, given: dict[str, str]) -> web.Response:
        name = PEOPLE.get(given["user"])
        if name is None:
            return refusal("user_not_found")
        return web.json_response({"ok": True, "user": {"id": given["user"], "name": name.lower(), "profile": {"display_name": name}}})

    def _conversations_open(self, given: dict[str, str]) -> web.Response:
        if given["users"] not in PEOPLE:
            return refusal("user_not_found")
        return web.json_response({"ok": True, "channel": {"id": "D0000001"}})

    def _conversations_history(self, given: dict[str, str]) -> web.Response:
        """The newest first, with a cursor. https://docs.slack.dev/reference/methods/conversations.history"""
        found = self.history.get(given["channel"])
        if found is None:
            return refusal("channel_not_found")
        tops = [each for each in reversed(found) if each.get("thread_ts", each["ts"]) == each["ts"]]
        start, size = int(given.get("cursor", "0")), int(given["limit"])
        page = [each | self._replies_of(given["channel"], each["ts"]) for each in tops[start : start + size]]
        more = str(start + size) if start + size < len(tops) else ""
        return web.json_response({"ok": True, "messages": page, "response_metadata": {"next_cursor": more}})

    def _replies_of(self, chat: str, ts: str) -> dict[str, str]:
        replies = [each["ts"] for each in self.history[chat] if each.get("thread_ts") == ts and each["ts"] != ts]
        return {"thread_ts": ts, "latest_reply": replies[-1]} if replies else {}

    def _conversations_replies(self, given: dict[str, str]) -> web.Response:
        thread = [each for each in self.history.get(given["channel"], []) if given["ts"] in (each["ts"], each.get("thread_ts"))]
        if not thread:
            return refusal("thread_not_found")
        return web.json_response({"ok": True, "messages": thread, "has_more": False})

    def _reactions_add(self, given: dict[str, str]) -> web.Response:
        return web.json_response({"ok": True})

    _assistant_threads_setStatus = _chat_postEphemeral = _reactions_add

    def _chat_postMessage(self, given: dict[str, str]) -> web.Response:
        chat, thread, blocks = given["channel"], given.get("thread_ts"), orjson.loads(given.get("blocks", "[]"))
        if chat not in self.history:
            return refusal("channel_not_found")
        if self.fault("form"):
            return refusal("invalid_arguments")
        if thread and self.fault("thread_gone"):
            return refusal("thread_not_found")
        if (wrong := _unfit(given["text"], blocks)) is not None:
            return refusal(wrong)
        ts = self._keep(chat, thread, given["text"], blocks=blocks)
        return web.json_response({"ok": True, "channel": chat, "ts": ts, "message": {"text": given["text"]}})

    def _chat_update(self, given: dict[str, str]) -> web.Response:
        """ "blocks": those of before stay where it is not given. https://docs.slack.dev/reference/methods/chat.update"""
        ts = given["ts"]
        if self.fault("edit_gone") or ts not in self.accepted:
            return refusal("message_not_found")
        message = next(each for each in self.history[given["channel"]] if each["ts"] == ts)
        message["text"], message["blocks"] = given["text"], orjson.loads(given.get("blocks") or orjson.dumps(message["blocks"]))
        if (wrong := _unfit(given["text"], message["blocks"])) is not None:
            return refusal(wrong)
        before = self.accepted[ts]
        shown = Seen(id=ts, text=given["text"], chat_id=before.chat_id, thread_id=before.thread_id, buttons=_labels(message), edited=True)
        self.accepted[ts] = shown
        return web.json_response({"ok": True, "ts": ts})

    def _chat_delete(self, given: dict[str, str]) -> web.Response:
        self.accepted.pop(given["ts"], None)
        return web.json_response({"ok": True})

    def _files_getUploadURLExternal(self, given: dict[str, str]) -> web.Response:
        """https://docs.slack.dev/reference/methods/files.getUploadURLExternal"""
        if self.fault("files"):
            return refusal("storage_limit_reached")
        id = f"F{next(self._numbers):07}"
        self.uploads[id] = (given["filename"], b"")
        return web.json_response({"ok": True, "upload_url": f"{self.url}/upload/{id}", "file_id": id})

    def _files_completeUploadExternal(self, given: dict[str, str]) -> web.Response:
        """https://docs.slack.dev/reference/methods/files.completeUploadExternal"""
        files = orjson.loads(given["files"])
        if given["channel_id"] not in self.history:
            return refusal("invalid_channel")
        names = tuple(self.uploads[each["id"]][0] for each in files)
        self._keep(given["channel_id"], given.get("thread_ts"), given.get("initial_comment", ""), files=names, id=files[0]["id"])
        return web.json_response({"ok": True, "files": files})

    def _files_info(self, given: dict[str, str]) -> web.Response:
        return web.json_response({"ok": True, "file": {"id": given["file"], "url_private": f"{self.url}/file/{given['file']}"}})

    def _keep(self, chat: str, thread: str | None, text: str, *, blocks: Any = (), files: tuple[str, ...] = (), id: str = "") -> str:
        ts = self.next_ts()
        message = {"type": "message", "user": BOT, "bot_id": BOT_ID, "text": text, "ts": ts, "blocks": blocks}
        self.history[chat].append(message | ({"thread_ts": thread} if thread else {}))
        buttons = _labels(message)
        self.accepted[id or ts] = Seen(id=id or ts, text=text, chat_id=chat, thread_id=thread, files=files, buttons=buttons)
        return ts


def _labels(message: Mapping[str, Any]) -> tuple[str, ...]:
    actions = [block for block in message["blocks"] if block["type"] == "actions"]
    return tuple(element["text"]["text"] for block in actions for element in block["elements"])


def _unfit(text: str, blocks: Any) -> str | None:
    """Limits of https://docs.slack.dev/reference/block-kit/blocks and …/block-elements/button-element."""
    if not text.strip() and not blocks:
        return "no_text"
    if len(text) > 40_000:
        return "msg_too_long"
    for block in blocks:
        if block["type"] == "section" and not 0 < len(block["text"]["text"]) <= 3000:
            return "invalid_blocks"
        for element in block.get("elements", ()):
            if not 0 < len(element["text"]["text"]) <= 75 or len(element.get("value", "")) > 2000 or len(block["elements"]) > 25:
                return "invalid_blocks"
    return None
