"""A stand-in for a Mattermost server: REST and WebSocket of https://developers.mattermost.com/api-documentation/, errors by their ids in
https://github.com/mattermost/mattermost/blob/master/server/i18n/en.json."""

import asyncio
import time
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any

import orjson
from aiohttp import WSMsgType, web

from assistant.testing.platform import Failure, Seen
from tests.doubles.channel_server import ChannelServer

TOKEN = "t" * 26


def id_of(name: str) -> str:
    """The id of something with this name."""
    return name.ljust(26, "0")


BOT, ADA, EVE, ROBOT = id_of("bot"), id_of("ada"), id_of("eve"), id_of("robot")
USERS = {BOT: "nanobot", ADA: "ada", EVE: "eve", ROBOT: "robot"}
DIRECT, ROOM = id_of("direct"), id_of("room")


def refusal(status: int, id: str, headers: Mapping[str, str] | None = None) -> web.Response:
    body = {"id": id, "message": "The server's words.", "detailed_error": "", "request_id": "r", "status_code": status}
    return web.json_response(body, status=status, headers=headers)


class MattermostServer(ChannelServer):
    def __init__(self) -> None:
        super().__init__()
        self.channels = {DIRECT: "D", ROOM: "O"}
        self.posts: dict[str, dict[str, Any]] = {}
        self.files: dict[str, tuple[str, bytes]] = {}
        self.pending: dict[str, str] = {}
        """pending_post_id → id, as the server remembers them (for 30 s; a test clears it)."""
        self.reactions: list[dict[str, str]] = []
        self.typed: list[dict[str, str]] = []
        self.connected = asyncio.Event()
        self.refusing: dict[str, web.Response] = {}
        """path → the answer to its next request."""
        self.reading = asyncio.Event()
        """Set when a post is read; `may_read`: its answer waits for it."""
        self.may_read = asyncio.Event()
        self.may_read.set()
        self._sockets: dict[asyncio.Task[Any], asyncio.Queue[str]] = {}
        self._numbers = count(1)
        self._clock = int(time.time() * 1000)

    def routes(self, app: web.Application) -> None:
        add = app.router.add_route
        add("GET", "/api/v4/websocket", self._socket)
        add("GET", "/api/v4/users/me", self._me)
        add("GET", "/api/v4/users/me/channels", self._mine)
        add("GET", "/api/v4/users/{id}", self._user)
        add("POST", "/api/v4/users/{id}/typing", self._typing)
        add("POST", "/api/v4/channels/direct", self._direct)
        add("GET", "/api/v4/channels/{id}", self._channel)
        add("GET", "/api/v4/channels/{id}/posts", self._since)
        add("POST", "/api/v4/posts", self._create)
        add("GET", "/api/v4/posts/{id}", self._read)
        add("DELETE", "/api/v4/posts/{id}", self._delete)
        add("GET", "/api/v4/posts/{id}/thread", self._thread)
        add("PUT", "/api/v4/posts/{id}/patch", self._patch)
        add("POST", "/api/v4/reactions", self._react)
        add("POST", "/api/v4/files", self._upload)
        add("GET", "/api/v4/files/{id}", self._file)

    def is_send(self, request: web.Request) -> bool:
        return request.method == "POST" and request.path == "/api/v4/posts"

    def refusals(self) -> Mapping[Failure, Callable[[], web.StreamResponse]]:
        limited = {"Retry-After": "30", "X-Ratelimit-Limit": "10", "X-Ratelimit-Remaining": "0", "X-Ratelimit-Reset": "30"}
        return {
            "refuse": lambda: refusal(403, "api.context.permissions.app_error"),
            "limit": lambda: web.Response(status=429, text="limit exceeded", headers=limited),
            "server_error": lambda: refusal(500, "app.post.save.app_error"),
            "unauthorized": lambda: refusal(401, "api.context.session_expired.app_error"),
            "blocked": lambda: refusal(400, "api.post.create_post.can_not_post_in_restricted_dm.error"),
        }

    def now(self) -> int:
        self._clock = max(self._clock + 1, int(time.time() * 1000))
        return self._clock

    def add(self, post: Mapping[str, Any], *, told: bool = True) -> str:
        """A post of a person, or of a bot; every connection is told."""
        id = str(post.get("id") or f"{next(self._numbers):026}")
        made = self.posts.get(id, {}).get("create_at") or self.now()
        full: dict[str, Any] = {
            "id": id,
            "create_at": made,
            "update_at": made,
            "edit_at": 0,
            "delete_at": 0,
            "root_id": "",
            "type": "",
            "props": {},
            "file_ids": [],
        }
        self.posts[id] = full | {"channel_id": DIRECT, "user_id": ADA, "message": ""} | dict(post) | {"id": id}
        if told:
            self._tell("posted", self.posts[id])
        return id

    def edit(self, id: str, message: str) -> None:
        at = self.now()
        self.posts[id] |= {"message": message, "edit_at": at, "update_at": at}
        self._tell("post_edited", self.posts[id])

    def _tell(self, event: str, post: Mapping[str, Any]) -> None:
        data: dict[str, Any] = {"post": orjson.dumps(post).decode()}
        if event == "posted":
            sender = USERS.get(str(post["user_id"]), "somebody")
            data |= {"channel_type": self.channels.get(str(post["channel_id"]), "O"), "sender_name": f"@{sender}"}
        self.frame(orjson.dumps({"event": event, "data": data, "broadcast": {"channel_id": post["channel_id"]}, "seq": 1}).decode())

    def frame(self, text: str) -> None:
        for queue in self._sockets.values():
            queue.put_nowait(text)

    def drop(self) -> None:
        for task in list(self._sockets):
            task.cancel()

    async def _socket(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        challenge = await socket.receive_json()
        if challenge["action"] != "authentication_challenge" or challenge["data"]["token"] != TOKEN:
            await socket.close()
            return socket
        queue: asyncio.Queue[str] = asyncio.Queue()
        task = asyncio.current_task()
        assert task is not None
        self._sockets[task] = queue
        await socket.send_json({"status": "OK", "seq_reply": 1})
        await socket.send_json({"event": "hello", "data": {"server_version": "11.0"}, "broadcast": {}, "seq": 0})
        writer = asyncio.create_task(self._write(socket, queue))
        self.connected.set()
        try:
            async for frame in socket:
                assert frame.type is WSMsgType.TEXT
        finally:
            writer.cancel()
            self._sockets.pop(task, None)
        return socket

    @staticmethod
    async def _write(socket: web.WebSocketResponse, queue: asyncio.Queue[str]) -> None:
        while True:
            await socket.send_str(await queue.get())

    async def _answer(self, request: web.Request, handler: Any) -> web.StreamResponse:
        if (answer := self.refusing.pop(request.path, None)) is not None:
            return answer
        if request.path != "/api/v4/websocket" and request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self.refusals()["unauthorized"]()
        return await super()._answer(request, handler)

    async def _me(self, request: web.Request) -> web.Response:
        keys = {"mention_keys": "nanobot,@nanobot,assistant"}
        return web.json_response({"id": BOT, "username": "nanobot", "is_bot": True, "notify_props": keys})

    async def _mine(self, request: web.Request) -> web.Response:
        latest = {
            channel: [post["create_at"] for post in self.posts.values() if post["channel_id"] == channel] for channel in self.channels
        }
        return web.json_response(
            [{"id": id, "type": kind, "last_post_at": max(latest[id], default=0)} for id, kind in self.channels.items()]
        )

    async def _user(self, request: web.Request) -> web.Response:
        id = request.match_info["id"]
        return web.json_response({"id": id, "username": USERS[id]}) if id in USERS else refusal(404, "app.user.missing_account.const")

    async def _typing(self, request: web.Request) -> web.Response:
        self.typed.append(await request.json())
        return web.json_response({"status": "OK"})

    async def _direct(self, request: web.Request) -> web.Response:
        _, other = await request.json()
        if other not in USERS:
            return refusal(404, "app.user.missing_account.const")
        return web.json_response({"id": DIRECT, "type": "D"}, status=201)

    async def _channel(self, request: web.Request) -> web.Response:
        id = request.match_info["id"]
        kind = self.channels.get(id)
        return web.json_response({"id": id, "type": kind}) if kind else refusal(404, "app.channel.get.existing.app_error")

    async def _since(self, request: web.Request) -> web.Response:
        """ "Provide a non-zero value in Unix time milliseconds to select posts modified after that time." """
        since = int(request.query["since"])
        found = {
            id: post for id, post in self.posts.items() if post["channel_id"] == request.match_info["id"] and post["update_at"] > since
        }
        return web.json_response({"order": list(found), "posts": found})

    async def _create(self, request: web.Request) -> web.Response:
        given = await request.json()
        if (known := self.pending.get(given.get("pending_post_id"))) is not None:
            return web.json_response(self.posts[known], status=201)
        if self.fault("form"):
            return refusal(400, "model.post.is_valid.odd.app_error")
        if given["channel_id"] not in self.channels:
            return refusal(403, "api.context.permissions.app_error")
        if len(given["message"]) > 16_383:
            return refusal(400, "model.post.is_valid.message_length.app_error")
        if given.get("root_id") and (self.fault("thread_gone") or not self._may_begin(given["root_id"])):
            return refusal(400, "api.post.create_post.root_id.app_error")
        actions = [action for each in given.get("props", {}).get("attachments", ()) for action in each["actions"]]
        if not all(action["id"].isalnum() and action["integration"]["url"] for action in actions):
            return refusal(400, "model.post.is_valid.props.app_error")
        id = self.add(given | {"user_id": BOT})
        self.pending[given.get("pending_post_id", "")] = id
        self._accept(id)
        return web.json_response(self.posts[id], status=201)

    def _may_begin(self, root: str) -> bool:
        return root in self.posts and not self.posts[root]["root_id"]

    def _accept(self, id: str) -> None:
        post = self.posts[id]
        self.accepted[id] = Seen(
            id=id,
            text=post["message"],
            chat_id=post["channel_id"],
            thread_id=post["root_id"] or None,
            files=tuple(self.files[file][0] for file in post["file_ids"]),
            buttons=tuple(action["name"] for each in post["props"].get("attachments", ()) for action in each["actions"]),
            edited=bool(post["edit_at"]),
        )

    async def _read(self, request: web.Request) -> web.Response:
        self.reading.set()
        await self.may_read.wait()
        post = self.posts.get(request.match_info["id"])
        return web.json_response(post) if post else refusal(404, "app.post.get.app_error")

    async def _delete(self, request: web.Request) -> web.Response:
        self.accepted.pop(request.match_info["id"], None)
        return web.json_response({"status": "OK"})

    async def _thread(self, request: web.Request) -> web.Response:
        root = request.match_info["id"]
        found = {id: post for id, post in self.posts.items() if root in (id, post["root_id"])}
        return web.json_response({"order": list(found), "posts": found}) if root in found else refusal(404, "app.post.get.app_error")

    async def _patch(self, request: web.Request) -> web.Response:
        id = request.match_info["id"]
        if self.fault("edit_gone") or id not in self.accepted:
            return refusal(404, "app.post.get.app_error")
        given, at = await request.json(), self.now()
        self.posts[id] |= given | {"edit_at": at, "update_at": at}
        self._tell("post_edited", self.posts[id])
        self._accept(id)
        return web.json_response(self.posts[id])

    async def _react(self, request: web.Request) -> web.Response:
        self.reactions.append(await request.json())
        return web.json_response(self.reactions[-1], status=201)

    async def _upload(self, request: web.Request) -> web.Response:
        if self.fault("files"):
            return refusal(413, "api.file.upload_file.too_large_detailed.app_error")
        id = id_of(f"file{next(self._numbers)}x")
        self.files[id] = (request.query["filename"], await request.read())
        return web.json_response({"file_infos": [{"id": id, "name": request.query["filename"]}], "client_ids": []}, status=201)

    async def _file(self, request: web.Request) -> web.Response:
        found = self.files.get(request.match_info["id"])
        return web.Response(body=found[1]) if found else refusal(404, "app.file_info.get.app_error")
