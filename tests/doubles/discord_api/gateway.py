"""The gateway: sessions, their events in order, and what can go wrong with a socket.

https://discord.com/developers/docs/events/gateway
"""

import asyncio
import json
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from aiohttp import WSMsgType, web

from tests.doubles.discord_api.shapes import Payload
from tests.doubles.discord_api.world import World

_CONTENT_INTENT: Final = 1 << 15
_KEPT: Final = 1000


@dataclass(slots=True, kw_only=True)
class Session:
    id: str
    seq: int = 0
    events: deque[Payload] = field(default_factory=lambda: deque[Payload](maxlen=_KEPT))
    """The last ones, for RESUME."""
    socket: web.WebSocketResponse | None = None


class Gateway:
    def __init__(self, changed: Callable[[], None]) -> None:
        self.sessions: dict[str, Session] = {}
        self.identified: list[Payload] = []
        """What was said to identify, of every session there ever was."""
        self.resumed = 0
        self.connections = 0
        self.heartbeat = 41.25
        """Seconds."""
        self.content_allowed = True
        """Whether the application may ask for the contents of messages; if not, doing so is answered by closing with 4014."""
        self.closes_with: int | None = None
        """Every socket is closed with this code as soon as it is opened."""
        self.out_of_reach = False
        """New sessions get no server until `reach`."""
        self.says_goodbye = True
        """Whether a socket that is closed from the other side is closed from this one, too."""
        self.refuses = False
        """No socket is opened: 503."""
        self.url = ""
        self.token = ""
        self._changed = changed
        self._sockets: dict[web.WebSocketResponse, asyncio.Transport | None] = {}
        self._outgoing: deque[tuple[web.WebSocketResponse, Payload]] = deque()
        self._waiting = asyncio.Event()

    @property
    def connected(self) -> int:
        """How many sessions have a socket now."""
        return sum(session.socket is not None for session in self.sessions.values())

    def emit(self, name: str, data: Payload) -> None:
        """Tell every session; one whose socket is gone is told when it resumes."""
        for session in self.sessions.values():
            self._tell(session, name, data)

    async def drop(self, *, resumable: bool = True) -> None:
        """Cut every socket without a word. Not `resumable`: the sessions are forgotten, too."""
        if not resumable:
            self.sessions.clear()
        for socket in list(self._sockets):
            self._detach(socket)
            if (transport := self._sockets.pop(socket, None)) is not None:
                transport.abort()

    async def close(self, code: int) -> None:
        """Close every socket with a code."""
        for socket in list(self._sockets):
            await socket.close(code=code)

    async def ask_to_reconnect(self) -> None:
        for socket in list(self._sockets):
            await _say(socket, 7, None)

    def reach(self, world: World) -> None:
        """The servers are there again."""
        self.out_of_reach = False
        for session in self.sessions.values():
            self._tell_guilds(session, world)

    async def invalidate(self) -> None:
        """Say that the sessions are no more: a new one has to be made."""
        self.sessions.clear()
        for socket in list(self._sockets):
            await _say(socket, 9, False)

    async def serve(self, request: web.Request, world: World) -> web.StreamResponse:
        if self.refuses:
            return web.Response(status=503)
        socket = web.WebSocketResponse(autoclose=False)
        await socket.prepare(request)
        self.connections += 1
        self._sockets[socket] = request.transport
        self._changed()
        try:
            if self.closes_with is not None:
                await socket.close(code=self.closes_with)
                return socket
            await _say(socket, 10, {"heartbeat_interval": int(self.heartbeat * 1000)})
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    await self._hear(socket, json.loads(message.data), world)
            if not self.says_goodbye:
                await asyncio.Event().wait()  # until the connection is cut
            await socket.close()
        except ConnectionError:
            pass  # the other side went away while it was told something
        finally:
            self._forget(socket)
            self._changed()
        return socket

    async def _hear(self, socket: web.WebSocketResponse, said: Payload, world: World) -> None:
        match said["op"]:
            case 1:
                await _say(socket, 11, None)
            case 2:
                await self._identify(socket, said["d"], world)
            case 6:
                await self._resume(socket, said["d"])
            case _:
                pass
        self._changed()

    async def _identify(self, socket: web.WebSocketResponse, said: Payload, world: World) -> None:
        if said["token"] != self.token:
            await socket.close(code=4004)
            return
        if said["intents"] & _CONTENT_INTENT and not self.content_allowed:
            await socket.close(code=4014)
            return
        self.identified.append(said)
        session = Session(id=f"session-{len(self.identified)}", socket=socket)
        self.sessions[session.id] = session
        guilds = [{"id": guild_id, "unavailable": True} for guild_id in world.guilds]
        about = {"v": 10, "user": world.me, "guilds": guilds, "session_id": session.id, "resume_gateway_url": self.url}
        self._tell(session, "READY", {**about, "application": {"id": world.me["id"], "flags": 0}})
        if not self.out_of_reach:
            self._tell_guilds(session, world)

    def _tell_guilds(self, session: Session, world: World) -> None:
        for guild in world.guilds.values():
            self._tell(session, "GUILD_CREATE", world.whole_guild(guild))

    async def _resume(self, socket: web.WebSocketResponse, said: Payload) -> None:
        session = self.sessions.get(said["session_id"])
        if session is None or said["token"] != self.token:
            await _say(socket, 9, False)
            return
        self.resumed += 1
        session.socket = socket
        for event in list(session.events):
            if event["s"] > said["seq"]:
                self._outgoing.append((socket, event))
                self._waiting.set()
        self._tell(session, "RESUMED", {})

    def _tell(self, session: Session, name: str, data: Payload) -> None:
        session.seq += 1
        event = {"op": 0, "s": session.seq, "t": name, "d": json.loads(json.dumps(data))}
        session.events.append(event)
        if session.socket is not None:
            self._outgoing.append((session.socket, event))
            self._waiting.set()

    async def pump(self) -> None:
        """Send what was emitted, in order, until cancelled."""
        while True:
            await self._waiting.wait()
            self._waiting.clear()
            while self._outgoing:
                socket, event = self._outgoing.popleft()
                if socket.closed:
                    continue
                try:
                    await socket.send_json(event)
                except ConnectionError:
                    self._detach(socket)

    def _forget(self, socket: web.WebSocketResponse) -> None:
        self._sockets.pop(socket, None)
        self._detach(socket)

    def _detach(self, socket: web.WebSocketResponse) -> None:
        for session in self.sessions.values():
            if session.socket is socket:
                session.socket = None


async def _say(socket: web.WebSocketResponse, op: int, data: object) -> None:
    await socket.send_json({"op": op, "d": data, "s": None, "t": None})
