"""A stand-in for a Matrix home server. https://spec.matrix.org/latest/client-server-api/"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

import orjson
from aiohttp import web

from assistant.testing.platform import Failure, Seen
from tests.doubles.channel_server import ChannelServer

BOT, ANNA = "@bot:test", "@anna:test"
TOKEN, DEVICE = "syt_" + "x" * 30, "BOTDEVICE"
NOW = 1_790_000_000_000


class MatrixServer(ChannelServer):
    """Rooms, one stream of their events (a sync token is a place in it), an account with one device, and its transactions."""

    def __init__(self) -> None:
        super().__init__()
        self.stream: list[tuple[str, dict[str, Any]]] = []
        self.members: dict[str, dict[str, str]] = {}
        self.state: dict[str, list[dict[str, Any]]] = {}
        """What the account is told of a room when it starts."""
        self.invites: dict[str, list[dict[str, Any]]] = {}
        self.news: dict[str, Any] = {}
        """What the next answer to a sync has, and nothing else."""
        self.broken: dict[str, Any] = {}
        """By a piece of a path: the answer to the next request of it."""
        self.files: dict[str, bytes] = {}
        self.direct: dict[str, Any] = {}
        self.calls: list[tuple[str, Any]] = []
        """(path, body) of what changes something beside messages: receipts, reactions, typing, joins."""
        self.token = TOKEN
        self.logins = 0
        self.read_to = 0
        """The last place that the account has asked for what follows."""
        self.page = 100
        self.started = asyncio.Event()
        """The account asks for what follows."""
        self._transactions: dict[str, str] = {}
        self._news = asyncio.Condition()
        self._readers: set[asyncio.Task[Any]] = set()

    def routes(self, app: web.Application) -> None:
        app.middlewares.append(self._break)
        v3 = "/_matrix/client/v3"
        app.router.add_post(f"{v3}/login", self._login)
        app.router.add_get(f"{v3}/account/whoami", self._whoami)
        app.router.add_get(f"{v3}/sync", self._sync)
        app.router.add_put(f"{v3}/rooms/{{room}}/send/{{type}}/{{txn}}", self._send)
        app.router.add_get(f"{v3}/rooms/{{room}}/event/{{event}}", self._event)
        app.router.add_get(f"{v3}/rooms/{{room}}/messages", self._messages)
        app.router.add_get(f"{v3}/rooms/{{room}}/joined_members", self._joined)
        app.router.add_get(f"{v3}/rooms/{{room}}/state/{{type}}/{{key:.*}}", self._state)
        app.router.add_post(f"{v3}/join/{{room}}", self._join)
        app.router.add_post(f"{v3}/rooms/{{room}}/leave", self._leave)
        app.router.add_post(f"{v3}/createRoom", self._create)
        app.router.add_get(f"{v3}/directory/room/{{alias}}", self._alias)
        app.router.add_get(f"{v3}/profile/{{user}}", self._profile)
        app.router.add_route("*", f"{v3}/user/{{user}}/account_data/{{type}}", self._account_data)
        app.router.add_put(f"{v3}/rooms/{{room}}/typing/{{user}}", self._note)
        app.router.add_post(f"{v3}/rooms/{{room}}/receipt/{{type}}/{{event}}", self._note)
        app.router.add_post("/_matrix/media/v3/upload", self._upload)
        app.router.add_get("/_matrix/client/v1/media/download/{server}/{id}", self._download)

    def is_send(self, request: web.Request) -> bool:
        return request.method == "PUT" and "/send/m.room.message/" in request.path

    def refusals(self) -> Mapping[Failure, Callable[[], web.StreamResponse]]:
        """https://spec.matrix.org/latest/client-server-api/#standard-error-response"""
        return {
            "refuse": lambda: refusal(403, "M_FORBIDDEN", "User @bot:test not in room !dm:test"),
            "limit": lambda: refusal(429, "M_LIMIT_EXCEEDED", "Too Many Requests", retry_after_ms=30_000),
            "server_error": lambda: refusal(500, "M_UNKNOWN", "Internal server error"),
            "unauthorized": lambda: refusal(401, "M_UNKNOWN_TOKEN", "Invalid access token passed.", soft_logout=False),
        }

    def room(self, id: str, *others: str, invited: tuple[str, ...] = (), **content: Any) -> str:
        """A room that the account is in. `content`: of state events by their type's last word (`encryption={…}`)."""
        self.members[id] = {BOT: "join", **dict.fromkeys(others, "join"), **dict.fromkeys(invited, "invite")}
        self.state[id] = [
            {"type": f"m.room.{kind}", "state_key": "", "sender": ANNA, "event_id": f"${kind}", "content": value}
            for kind, value in content.items()
        ]
        return id

    def say(self, room: str, content: Any, *, by: str = ANNA, id: str | None = None, kind: str = "m.room.message", **more: Any) -> str:
        """An event of a person."""
        event = {"type": kind, "sender": by, "content": content, "event_id": id or f"$p{len(self.stream)}"}
        self._add(room, event | {"origin_server_ts": NOW + len(self.stream)} | more)
        return event["event_id"]

    def drop(self) -> None:
        for reader in self._readers:
            reader.cancel()

    def wake(self) -> None:
        task = asyncio.ensure_future(self._wake())
        self._readers.add(task)
        task.add_done_callback(self._readers.discard)

    async def _wake(self) -> None:
        async with self._news:
            self._news.notify_all()

    def _add(self, room: str, event: dict[str, Any]) -> None:
        self.stream.append((room, event))
        self.wake()

    @web.middleware
    async def _break(self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> web.StreamResponse:
        found = next((piece for piece in self.broken if piece in request.path), None)
        if found is None:
            return await handler(request)
        answer = self.broken.pop(found)
        return answer if isinstance(answer, web.StreamResponse) else web.json_response(answer)

    async def _login(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        if body["password"] != "right password":
            return refusal(403, "M_FORBIDDEN", "Invalid username or password")
        self.logins += 1
        self.token = f"syt_{'y' * 30}_{self.logins}"
        return web.json_response({"user_id": BOT, "access_token": self.token, "device_id": body.get("device_id") or "NEWDEVICE"})

    def _who(self, request: web.Request) -> web.StreamResponse | None:
        if request.headers.get("Authorization") == f"Bearer {self.token}":
            return None
        return refusal(401, "M_UNKNOWN_TOKEN", "Invalid access token passed.", soft_logout=True)

    async def _whoami(self, request: web.Request) -> web.StreamResponse:
        return self._who(request) or web.json_response({"user_id": BOT, "device_id": DEVICE})

    async def _sync(self, request: web.Request) -> web.StreamResponse:
        if (refused := self._who(request)) is not None:
            return refused
        since = request.query.get("since")
        limit = orjson.loads(request.query["filter"])["room"]["timeline"]["limit"]
        if since is None:
            rooms = {id: self._section(id, [], self.state.get(id, [])) for id in self.members if self.members[id].get(BOT) == "join"}
            return web.json_response(self._news_of({"join": rooms, "invite": self._invites()}))
        self.read_to = at = int(since[1:])
        self.started.set()
        task = asyncio.current_task()
        assert task is not None
        self._readers.add(task)
        try:
            async with self._news:
                while len(self.stream) == at and not self.invites and not self.news:
                    await self._news.wait()
        finally:
            self._readers.discard(task)
        if self.news:
            news, self.news = self.news, {}
            return web.json_response({"next_batch": since} | news)
        found: dict[str, list[dict[str, Any]]] = {}
        for room, event in self.stream[at:]:
            found.setdefault(room, []).append(event)
        join = {id: self._section(id, events[-limit:], [], limited=len(events) > limit) for id, events in found.items()}
        return web.json_response(self._news_of({"join": join, "invite": self._invites()}))

    def _news_of(self, rooms: dict[str, Any]) -> dict[str, Any]:
        return {"next_batch": f"s{len(self.stream)}", "rooms": rooms, "device_one_time_keys_count": {}}

    def _invites(self) -> dict[str, Any]:
        invites, self.invites = self.invites, {}
        return {id: {"invite_state": {"events": events}} for id, events in invites.items()}

    def _section(self, id: str, events: list[dict[str, Any]], state: list[dict[str, Any]], *, limited: bool = False) -> dict[str, Any]:
        here = list(self.members.get(id, {}).values())
        first = next((place for place, (_, event) in enumerate(self.stream) if events and event is events[0]), 0)
        return {
            "summary": {"m.joined_member_count": here.count("join"), "m.invited_member_count": here.count("invite"), "m.heroes": [ANNA]},
            "state": {"events": state},
            "timeline": {"events": events, "limited": limited, "prev_batch": f"s{first}"},
        }

    async def _messages(self, request: web.Request) -> web.StreamResponse:
        start, to, room = int(request.query["from"][1:]), int(request.query["to"][1:]), request.match_info["room"]
        places = [place for place in range(start - 1, to - 1, -1) if self.stream[place][0] == room][: self.page]
        end = {"end": f"s{places[-1]}"} if places and places[-1] > to else {}
        return web.json_response({"chunk": [self.stream[place][1] for place in places], "start": f"s{start}", **end})

    async def _send(self, request: web.Request) -> web.StreamResponse:
        if (refused := self._who(request)) is not None:
            return refused
        room, kind, body = request.match_info["room"], request.match_info["type"], await request.json()
        if kind not in ("m.room.message", "m.room.encrypted"):
            self.calls.append((request.path, body))
            return web.json_response({"event_id": f"$r{len(self.calls)}"})
        if room not in self.members:
            return refusal(403, "M_FORBIDDEN", f"User {BOT} not in room {room}")
        if len(orjson.dumps(body)) > 65_000:
            return refusal(413, "M_TOO_LARGE", "event too large")
        relation = body.get("m.relates_to", {})
        if "formatted_body" in body and self.fault("form"):
            return refusal(400, "M_BAD_JSON", "formatted_body is not taken")
        if relation.get("rel_type") == "m.thread" and self.fault("thread_gone"):
            return refusal(400, "M_UNKNOWN", "Cannot start threads from an event with a relation")
        if request.path not in self._transactions:
            id = self._transactions[request.path] = f"$b{len(self.stream)}"
            self._add(room, {"type": kind, "sender": BOT, "content": body, "event_id": id, "origin_server_ts": NOW + len(self.stream)})
            if kind == "m.room.message":
                note_sent(self.accepted, id, room, body)
        return web.json_response({"event_id": self._transactions[request.path]})

    async def _event(self, request: web.Request) -> web.StreamResponse:
        if self.fault("edit_gone"):
            return web.json_response({"type": "m.room.message", "content": {}, "unsigned": {"redacted_because": {}}})
        id = request.match_info["event"]
        if len(id.encode()) > 255:
            return web.Response(status=414)
        found = next((event for _, event in reversed(self.stream) if event["event_id"] == id), None)
        return refusal(404, "M_NOT_FOUND", "Event not found.") if found is None else web.json_response(found)

    async def _state(self, request: web.Request) -> web.StreamResponse:
        room, kind = request.match_info["room"], request.match_info["type"]
        if room not in self.members:
            return refusal(403, "M_FORBIDDEN", f"User {BOT} not in room {room}")
        if kind == "m.room.member":
            membership = self.members[room].get(request.match_info["key"])
            return web.json_response({"membership": membership}) if membership else refusal(404, "M_NOT_FOUND", "Event not found.")
        found = next((event["content"] for event in self.state[room] if event["type"] == kind), None)
        return refusal(404, "M_NOT_FOUND", "Event not found.") if found is None else web.json_response(found)

    async def _joined(self, request: web.Request) -> web.StreamResponse:
        joined: dict[str, Any] = {user: {} for user, how in self.members.get(request.match_info["room"], {}).items() if how == "join"}
        return web.json_response({"joined": joined}) if joined else refusal(403, "M_FORBIDDEN", "not in the room")

    async def _join(self, request: web.Request) -> web.StreamResponse:
        room = request.match_info["room"]
        self.calls.append((request.path, None))
        if room not in self.state:
            return refusal(403, "M_FORBIDDEN", "You are not invited to this room.")
        self.members[room][BOT] = "join"
        self.say(room, {"membership": "join"}, by=BOT, kind="m.room.member", state_key=BOT)
        return web.json_response({"room_id": room})

    async def _leave(self, request: web.Request) -> web.StreamResponse:
        self.calls.append((request.path, await request.json()))
        self.members.get(request.match_info["room"], {}).pop(BOT, None)
        return web.json_response({})

    async def _create(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        return web.json_response({"room_id": self.room(f"!made{len(self.members)}:test", invited=tuple(body["invite"]))})

    async def _alias(self, request: web.Request) -> web.StreamResponse:
        room = {"#group:test": "!group:test"}.get(request.match_info["alias"])
        return web.json_response({"room_id": room}) if room else refusal(404, "M_NOT_FOUND", "Room alias not found.")

    async def _profile(self, request: web.Request) -> web.StreamResponse:
        return web.json_response({"displayname": "Nano Bot"})

    async def _account_data(self, request: web.Request) -> web.StreamResponse:
        if request.method == "PUT":
            self.direct = await request.json()
        return web.json_response(self.direct) if self.direct else refusal(404, "M_NOT_FOUND", "Account data not found")

    async def _note(self, request: web.Request) -> web.StreamResponse:
        self.calls.append((request.path, await request.json()))
        return web.json_response({})

    async def _upload(self, request: web.Request) -> web.StreamResponse:
        if self.fault("files"):
            return refusal(413, "M_TOO_LARGE", "Upload request body is too large")
        id = f"f{len(self.files)}"
        self.files[id] = await request.read()
        return web.json_response({"content_uri": f"mxc://test/{id}"})

    async def _download(self, request: web.Request) -> web.StreamResponse:
        content = self.files.get(request.match_info["id"])
        if (refused := self._who(request)) is not None or content is None:
            return refused or refusal(404, "M_NOT_FOUND", "Not found")
        return web.Response(body=content)


def refusal(status: int, code: str, words: str, **more: Any) -> web.Response:
    return web.json_response({"errcode": code, "error": words, **more}, status=status)


def note_sent(accepted: dict[str, Seen], id: str, room: str, body: dict[str, Any]) -> None:
    """A message as people see it; an edit changes the one before."""
    relation = body.get("m.relates_to", {})
    if relation.get("rel_type") == "m.replace":
        before = accepted[relation["event_id"]]
        accepted[before.id] = replace(before, text=body["m.new_content"]["body"], edited=True)
        return
    file = "url" in body or "file" in body
    accepted[id] = Seen(
        id=id,
        text="" if file else body["body"],
        chat_id=room,
        thread_id=relation.get("event_id"),
        reply_to=relation.get("m.in_reply_to", {}).get("event_id") if not relation.get("is_falling_back") else None,
        files=(body["filename"],) if file else (),
    )
