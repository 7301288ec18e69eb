"""A real Matrix home server as a process of the tests, and a proxy in front of it that fails as it is told.

https://element-hq.github.io/synapse/latest/usage/configuration/config_documentation.html
"""

import asyncio
import base64
import secrets
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp
import orjson
from aiohttp import web
from yarl import URL

from assistant.testing.platform import Failure
from tests.doubles.channel_server import ChannelServer
from tests.doubles.live_server import free_port
from tests.doubles.matrix_server import note_sent, refusal
from tests.doubles.programs import running_program

PYTHON: Final = Path(__file__).parents[2] / ".venv-synapse/bin/python"
MISSING: Final = "Synapse is not installed: make test-matrix"
_V3: Final = "/_matrix/client/v3"
_CONFIG: Final = """
server_name: test
pid_file: {folder}/pid
listeners: [{{port: {port}, bind_addresses: [127.0.0.1], type: http, tls: false, resources: [{{names: [client, media], compress: false}}]}}]
database: {{name: sqlite3, args: {{database: {folder}/homeserver.db}}}}
media_store_path: {folder}/media
signing_key_path: {folder}/signing.key
log_config: {folder}/log.yaml
enable_registration: true
enable_registration_without_verification: true
report_stats: false
trusted_key_servers: []
bcrypt_rounds: 4
suppress_key_server_warning: true
rc_message: {limits}
rc_registration: {limits}
rc_login: {{address: {limits}, account: {limits}, failed_attempts: {limits}}}
rc_joins: {{local: {limits}, remote: {limits}}}
rc_invites: {{per_room: {limits}, per_user: {limits}, per_issuer: {limits}}}
rc_room_creation: {limits}
"""
_LIMITS: Final = "{per_second: 10000, burst_count: 10000}"
_LOG: Final = "version: 1\nroot: {level: ERROR}\n"


class Refused(Exception):
    """Synapse refused a call; its answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Of a person or the assistant, with one device."""

    home: "Synapse"
    user_id: str
    device_id: str
    token: str
    password: str

    async def call(self, method: str, path: str, json: object = None, **more: Any) -> Any:
        """`path`: under the client API, quoted."""
        body = {"json": json} if json is not None else {}
        headers = {"Authorization": f"Bearer {self.token}"}
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, URL(f"{self.home.url}{_V3}{path}", encoded=True), headers=headers, **body, **more) as answer,
        ):
            found = await answer.json()
            if answer.status != 200:
                raise Refused(found)
            return found

    async def say(self, room: str, content: Any, *, kind: str = "m.room.message") -> str:
        """Returns the event's id."""
        sent = await self.call("PUT", f"/rooms/{room}/send/{kind}/{secrets.token_hex(8)}", content)
        return sent["event_id"]

    async def room(self, *invited: str, direct: bool = False, state: list[Any] | None = None) -> str:
        wanted = {"preset": "trusted_private_chat" if direct else "private_chat", "is_direct": direct, "invite": list(invited)}
        made = await self.call("POST", "/createRoom", wanted | {"initial_state": state or []})
        return made["room_id"]

    async def upload(self, content: bytes) -> str:
        url = f"{self.home.url}/_matrix/media/v3/upload"
        headers = {"Authorization": f"Bearer {self.token}"}
        async with aiohttp.ClientSession() as session, session.post(url, data=content, headers=headers) as answer:
            return (await answer.json())["content_uri"]

    async def download(self, address: str) -> bytes:
        url = f"{self.home.url}/_matrix/client/v1/media/download/{address.removeprefix('mxc://')}"
        async with aiohttp.ClientSession() as session, session.get(url, headers={"Authorization": f"Bearer {self.token}"}) as answer:
            assert answer.status == 200
            return await answer.read()


@dataclass(frozen=True, slots=True, kw_only=True)
class Synapse:
    url: str

    async def account(self, name: str) -> Account:
        password = secrets.token_hex(8)
        asked = {"auth": {"type": "m.login.dummy"}, "username": name, "password": password}
        async with aiohttp.ClientSession() as session, session.post(f"{self.url}{_V3}/register", json=asked) as answer:
            made = await answer.json()
        return Account(home=self, user_id=made["user_id"], device_id=made["device_id"], token=made["access_token"], password=password)


@contextmanager
def synapse(folder: Path) -> Generator[Synapse]:
    """Started in about three seconds, on loopback, with SQLite."""
    port = free_port()
    config = folder / "homeserver.yaml"
    config.write_text(_CONFIG.format(folder=folder, port=port, limits=_LIMITS))
    (folder / "log.yaml").write_text(_LOG)
    (folder / "signing.key").write_text(f"ed25519 a_test {base64.b64encode(secrets.token_bytes(32)).decode().rstrip('=')}\n")
    command = [str(PYTHON), "-m", "synapse.app.homeserver", "-c", str(config)]
    with running_program(command, port, folder / "output", cwd=folder):
        yield Synapse(url=f"http://127.0.0.1:{port}")


class SynapseProxy(ChannelServer):
    """What the assistant's account asks passes through it, and is kept as accepted where Synapse took it."""

    def __init__(self, home: Synapse) -> None:
        super().__init__()
        self._home = home
        self._syncs: set[asyncio.Task[Any]] = set()

    def routes(self, app: web.Application) -> None:
        app.router.add_route("*", "/{path:.*}", self._pass)

    def is_send(self, request: web.Request) -> bool:
        return request.method == "PUT" and "/send/m.room." in request.path

    def refusals(self) -> Mapping[Failure, Callable[[], web.StreamResponse]]:
        """As Synapse itself answers."""
        return {
            "refuse": lambda: refusal(403, "M_FORBIDDEN", "User @bot:test not in room !dm:test"),
            "limit": lambda: refusal(429, "M_LIMIT_EXCEEDED", "Too Many Requests", retry_after_ms=30_000),
            "server_error": lambda: refusal(500, "M_UNKNOWN", "Internal server error"),
            "unauthorized": lambda: refusal(401, "M_UNKNOWN_TOKEN", "Invalid access token passed.", soft_logout=False),
        }

    def drop(self) -> None:
        for task in self._syncs:
            task.cancel()

    async def _pass(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        if self.is_send(request):
            said = orjson.loads(body)
            if "formatted_body" in said and self.fault("form"):
                return refusal(400, "M_BAD_JSON", "formatted_body is not taken")
            if said.get("m.relates_to", {}).get("rel_type") == "m.thread" and self.fault("thread_gone"):
                return refusal(400, "M_UNKNOWN", "Cannot start threads from an event with a relation")
        if request.path.endswith("/upload") and self.fault("files"):
            return refusal(413, "M_TOO_LARGE", "Upload request body is too large")
        headers = {name: value for name, value in request.headers.items() if name in ("Authorization", "Content-Type")}
        if "/event/" in request.path and self.fault("edit_gone"):
            path = request.raw_path.replace("/event/", "/redact/") + f"/{secrets.token_hex(8)}"
            async with aiohttp.ClientSession() as session, session.put(self._url(path), json={}, headers=headers) as gone:
                assert gone.status == 200
        task = asyncio.current_task()
        assert task is not None
        if request.path.endswith("/sync"):
            self._syncs.add(task)
        try:
            async with (
                aiohttp.ClientSession() as session,
                session.request(request.method, self._url(request.raw_path), data=body, headers=headers) as answer,
            ):
                content = await answer.read()
                if self.is_send(request) and answer.status == 200 and "/send/m.room.message/" in request.path:
                    room = request.path.split("/rooms/")[1].split("/")[0]
                    note_sent(self.accepted, orjson.loads(content)["event_id"], room, orjson.loads(body))
                kept = {name: value for name, value in answer.headers.items() if name in ("Content-Type", "Retry-After")}
                return web.Response(status=answer.status, body=content, headers=kept)
        finally:
            self._syncs.discard(task)

    def _url(self, path: str) -> URL:
        return URL(f"{self._home.url}{path}", encoded=True)
