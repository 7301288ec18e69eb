"""A stand-in for a Zulip server: https://zulip.com/api/rest, its errors by https://zulip.com/api/rest-error-handling."""

import asyncio
import base64
import json
import re
import time
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any, cast

import orjson
from aiohttp import web

from assistant.testing.platform import Failure, Seen
from tests.doubles.channel_server import ChannelServer

EMAIL, KEY = "nanobot-bot@example.org", "k" * 32
BOT, ADA, EVE, ROBOT = 5, 8, 9, 11
NAMES = {BOT: "nano bot", ADA: "Ada", EVE: "Eve", ROBOT: "Robot"}
CHANNEL = 12
_LINK = re.compile(r"\[([^\]\n]*)\]\(/user_uploads/[^)\n]*\)")


def refusal(status: int, code: str, words: str, **more: object) -> web.Response:
    headers = {"Retry-After": "30"} if status == 429 else None
    return web.json_response({"result": "error", "code": code, "msg": words, **more}, status=status, headers=headers)


def done(**more: object) -> web.Response:
    return web.json_response({"result": "success", "msg": "", **more})


class ZulipServer(ChannelServer):
    """Messages by id, and one event queue."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: dict[int, dict[str, Any]] = {}
        self.uploads: dict[str, bytes] = {}
        self.queue: str | None = None
        self.events: list[dict[str, Any]] = []
        """Those that were not acknowledged by a poll."""
        self.registered = 0
        self.written: dict[int, str] = {}
        """id of an event → the JSON that is told in its place."""
        self.polls = 0
        self.typed: list[dict[str, str]] = []
        self.reacted: list[tuple[int, str]] = []
        self.connected = asyncio.Event()
        self.refusing: dict[str, web.Response] = {}
        """path → the answer to its next request."""
        self._numbers = count(1)
        self._ids = count(1000)
        self._news = asyncio.Condition()
        self._polls: set[asyncio.Task[Any]] = set()
        self._tasks: set[asyncio.Task[Any]] = set()

    def routes(self, app: web.Application) -> None:
        add = app.router.add_route
        add("GET", "/api/v1/users/me", self._me)
        add("GET", "/api/v1/users/{id}", self._user)
        add("POST", "/api/v1/register", self._register)
        add("GET", "/api/v1/events", self._poll)
        add("GET", "/api/v1/messages", self._since)
        add("POST", "/api/v1/messages", self._create)
        add("GET", "/api/v1/messages/{id}", self._read)
        add("PATCH", "/api/v1/messages/{id}", self._update)
        add("DELETE", "/api/v1/messages/{id}", self._delete)
        add("POST", "/api/v1/messages/{id}/reactions", self._react)
        add("POST", "/api/v1/typing", self._typing)
        add("POST", "/api/v1/user_uploads", self._upload)
        add("GET", "/api/v1/user_uploads/{path:.*}", self._temporary)
        add("GET", "/user_uploads/temporary/{path:.*}", self._file)

    def is_send(self, request: web.Request) -> bool:
        return request.method == "POST" and request.path == "/api/v1/messages"

    def refusals(self) -> Mapping[Failure, Callable[[], web.StreamResponse]]:
        return {
            "refuse": lambda: refusal(400, "STREAM_DOES_NOT_EXIST", "Channel with ID '99' does not exist", stream_id=99),
            "limit": lambda: refusal(429, "RATE_LIMIT_HIT", "API usage exceeded rate limit", **{"retry-after": 30}),
            "server_error": lambda: refusal(500, "INTERNAL_SERVER_ERROR", "Internal server error"),
            "unauthorized": lambda: refusal(401, "INVALID_API_KEY", "Invalid API key"),
            "blocked": lambda: refusal(400, "BAD_REQUEST", "'ada@example.org' is no longer using Zulip."),
        }

    def add(
        self,
        content: str,
        *,
        sender: int = ADA,
        to: int | list[int] = 0,
        topic: str = "general",
        id: int = 0,
        told: bool = True,
        ahead: float = 0.0,
    ) -> int:
        """A message of a person or a bot. `to`: a channel, or the users of a direct conversation; 0: the bot and the sender."""
        id = id or next(self._ids)
        message: dict[str, Any] = {
            "id": id,
            "sender_id": sender,
            "sender_full_name": NAMES.get(sender, "x"),
            "timestamp": int(time.time() + ahead),
        }
        message |= {"content": content, "flags": ["mentioned"] if f"@**{NAMES[BOT]}" in content else []}
        if isinstance(to, int) and to:
            message |= {"type": "stream", "stream_id": to, "subject": topic, "display_recipient": "general"}
        else:
            users = sorted({*(to if isinstance(to, list) else [ADA]), sender, BOT})
            message |= {
                "type": "private",
                "subject": "",
                "display_recipient": [{"id": user, "full_name": NAMES.get(user)} for user in users],
            }
        self.messages[id] = message
        if told:
            self.tell({"type": "message", "message": message, "flags": message["flags"]})
        return id

    def edit(self, id: int, content: str) -> None:
        self.messages[id] |= {"content": content}
        about = {"message_id": id, "message_ids": [id], "content": content, "edit_timestamp": int(time.time()) + 1, "rendering_only": False}
        self.tell({"type": "update_message", "user_id": ADA, "flags": [], **about})

    def tell(self, event: Mapping[str, Any]) -> None:
        """An event for the queue, if there is one."""
        if self.queue is not None:
            self.events.append(dict(event) | {"id": next(self._numbers)})
            self._wake()

    def tell_json(self, event: str) -> None:
        """The same with an event as it is written, whatever it is."""
        self.tell({})
        self.written[self.events[-1]["id"]] = event

    def forget_queue(self) -> None:
        """As after ten minutes without a poll, or a new start."""
        self.queue = None
        self.events.clear()
        self._wake()

    def drop(self) -> None:
        for poll in self._polls:
            poll.cancel()

    def _wake(self) -> None:
        async def wake() -> None:
            async with self._news:
                self._news.notify_all()

        task = asyncio.ensure_future(wake())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, request: web.Request, handler: Any) -> web.StreamResponse:
        login = base64.b64encode(f"{EMAIL}:{KEY}".encode()).decode()
        if (answer := self.refusing.pop(request.path, None)) is not None:
            return answer
        if request.path.startswith("/api/") and request.headers.get("Authorization") != f"Basic {login}":
            return self.refusals()["unauthorized"]()
        return await super()._answer(request, handler)

    async def _me(self, request: web.Request) -> web.Response:
        return done(user_id=BOT, full_name=NAMES[BOT], email=EMAIL, is_bot=True)

    async def _user(self, request: web.Request) -> web.Response:
        id = int(request.match_info["id"])
        if id not in NAMES:
            return refusal(400, "BAD_REQUEST", "No such user")
        return done(user={"user_id": id, "full_name": NAMES[id], "is_bot": id in (BOT, ROBOT)})

    async def _register(self, request: web.Request) -> web.Response:
        given = await request.post()
        assert orjson.loads(str(given["event_types"])) == ["message", "update_message"]
        self.registered += 1
        self.queue = f"q{next(self._numbers)}"
        self.events.clear()
        newest = max(self.messages, default=1)
        return done(queue_id=self.queue, last_event_id=-1, max_message_id=newest, event_queue_longpoll_timeout_seconds=90)

    async def _poll(self, request: web.Request) -> web.Response:
        """A poll acknowledges what was read. https://zulip.com/api/get-events"""
        last = int(request.query["last_event_id"])
        task = asyncio.current_task()
        assert task is not None
        self._polls.add(task)
        try:
            self.events[:] = [event for event in self.events if event["id"] > last]
            self.connected.set()
            async with self._news:
                await self._news.wait_for(lambda: self.queue != request.query["queue_id"] or self.events)
        finally:
            self._polls.discard(task)
        if self.queue != request.query["queue_id"]:
            id = request.query["queue_id"]
            return refusal(400, "BAD_EVENT_QUEUE_ID", f"Bad event queue ID: {id}", queue_id=id)
        self.polls += 1
        events = [self.written.get(each["id"]) or json.dumps(each) for each in self.events]
        told = f'{{"result": "success", "queue_id": "{self.queue}", "events": [{", ".join(events)}]}}'
        return web.Response(text=told, content_type="application/json")

    async def _since(self, request: web.Request) -> web.Response:
        after, most = int(request.query["anchor"]), int(request.query["num_after"])
        found = [message for id, message in sorted(self.messages.items()) if id > after]
        return done(messages=found[:most], found_newest=len(found) <= most)

    async def _create(self, request: web.Request) -> web.Response:
        given = {name: str(value) for name, value in (await request.post()).items()}
        content = given["content"]
        to: Any = orjson.loads(given["to"])
        if self.fault("form"):
            return refusal(400, "BAD_REQUEST", "Malformed message")
        if not content.strip():
            return refusal(400, "BAD_REQUEST", "Message must not be empty")
        if given["type"] == "stream" and to != CHANNEL:
            return refusal(400, "STREAM_DOES_NOT_EXIST", f"Channel with ID '{to}' does not exist", stream_id=to)
        if isinstance(to, list) and not set(cast("list[int]", to)) <= set(NAMES):
            return refusal(400, "BAD_REQUEST", f"Invalid user ID {cast('list[int]', to)[0]}")
        id = self.add(content[:10_000], sender=BOT, to=cast("int | list[int]", to), topic=given.get("topic", ""))
        self._accept(id)
        return done(id=id)

    def _accept(self, id: int, *, edited: bool = False) -> None:
        message = self.messages[id]
        users = message["display_recipient"]
        chat = (
            f"c{message['stream_id']}" if message["type"] == "stream" else ",".join(str(user["id"]) for user in users if user["id"] != BOT)
        )
        files = tuple(_LINK.findall(message["content"]))
        text = _LINK.sub("", message["content"]).strip()
        self.accepted[str(id)] = Seen(id=str(id), text=text, chat_id=chat, thread_id=message["subject"] or None, files=files, edited=edited)

    async def _read(self, request: web.Request) -> web.Response:
        message = self.messages.get(int(request.match_info["id"]))
        return done(message=message) if message else refusal(400, "BAD_REQUEST", "Invalid message(s)")

    async def _update(self, request: web.Request) -> web.Response:
        id = int(request.match_info["id"])
        if self.fault("edit_gone") or str(id) not in self.accepted:
            return refusal(400, "BAD_REQUEST", "Invalid message(s)")
        self.messages[id] |= {"content": str((await request.post())["content"])[:10_000]}
        self._accept(id, edited=True)
        return done()

    async def _delete(self, request: web.Request) -> web.Response:
        self.accepted.pop(request.match_info["id"], None)
        return done()

    async def _react(self, request: web.Request) -> web.Response:
        self.reacted.append((int(request.match_info["id"]), str((await request.post())["emoji_name"])))
        return done()

    async def _typing(self, request: web.Request) -> web.Response:
        self.typed.append({name: str(value) for name, value in (await request.post()).items()})
        return done()

    async def _upload(self, request: web.Request) -> web.Response:
        if self.fault("files"):
            return refusal(400, "BAD_REQUEST", "Upload would exceed your organization's upload quota.")
        file = (await request.post())["filename"]
        assert isinstance(file, web.FileField)
        path = f"/user_uploads/2/{next(self._numbers)}/file"
        self.uploads[path] = file.file.read()
        return done(url=path, uri=path, filename=file.filename)

    async def _temporary(self, request: web.Request) -> web.Response:
        path = request.match_info["path"]
        if f"/user_uploads/{path}" not in self.uploads:
            return refusal(404, "BAD_REQUEST", "File not found")
        return done(url=f"/user_uploads/temporary/{path}")

    async def _file(self, request: web.Request) -> web.Response:
        return web.Response(body=self.uploads[f"/user_uploads/{request.match_info['path']}"])
