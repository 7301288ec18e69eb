"""An MCP server over HTTP on loopback, with an authorization server of OAuth beside it, which forget, refuse and flood on demand.

async with McpOverHttp(folder) as server: server.url
"""

import asyncio
import base64
import hashlib
import json
import secrets
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode

from aiohttp import web

from tests.doubles.mcp_program import Answers


class McpOverHttp:
    """Its tools are those of `FOLDER/tools.json`. `streams`: answers come as events. `guarded`: it wants a token of its authorization server."""

    def __init__(self, folder: Path, *, streams: bool = False, guarded: bool = False, port: int = 0) -> None:
        self.streams = streams
        self.guarded = guarded
        self.answers = Answers(folder)
        self.sessions: set[str] = set()
        self.headers: list[dict[str, str]] = []
        self.tokens: set[str] = set()
        self.refresh_tokens: set[str] = set()
        self.renewals = 0
        self.replaces = True
        """Whether a renewal replaces the refresh token; a replaced one is refused."""
        self.expires_in = 3600
        self.mode = ""
        """Of the token endpoint: "hang", "500"; of the server: "flood"."""
        self.lifts = asyncio.Event()
        self._challenges: dict[str, str] = {}
        self._port = port
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=2**26)
        app.router.add_route("*", "/mcp", self._mcp)
        app.router.add_get("/.well-known/oauth-protected-resource/mcp", self._resource)
        app.router.add_get("/.well-known/oauth-authorization-server", self._metadata)
        app.router.add_post("/register", self._register)
        app.router.add_get("/authorize", self._authorize)
        app.router.add_post("/token", self._token)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await site.start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        assert self._runner is not None
        self.lifts.set()
        await self._runner.cleanup()

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def url(self) -> str:
        return f"{self.base}/mcp"

    async def _mcp(self, request: web.Request) -> web.StreamResponse:
        self.headers.append(dict(request.headers))
        if self.guarded and request.headers.get("Authorization", "").removeprefix("Bearer ") not in self.tokens:
            where = f"{self.base}/.well-known/oauth-protected-resource/mcp"
            return web.Response(status=401, headers={"WWW-Authenticate": f'Bearer resource_metadata="{where}"'})
        if request.method == "DELETE":
            self.sessions.discard(request.headers.get("Mcp-Session-Id", ""))
            return web.Response()
        if request.method != "POST":
            return web.Response(status=405)
        message = await request.json()
        session = request.headers.get("Mcp-Session-Id")
        if message["method"] == "initialize":
            session = secrets.token_hex(8)
            self.sessions.add(session)
        elif session not in self.sessions:
            return web.Response(status=404)
        if "id" not in message:
            return web.Response(status=202)
        if self.mode == "flood" and message["method"] == "tools/call":
            return await self._flood(request)
        answer = {"jsonrpc": "2.0", "id": message["id"], "result": self.answers.to(message["method"], message.get("params") or {})}
        headers = {"Mcp-Session-Id": session or ""}
        if self.streams:
            return web.Response(text=f"event: message\ndata: {json.dumps(answer)}\n\n", content_type="text/event-stream", headers=headers)
        return web.json_response(answer, headers=headers)

    async def _flood(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream" if self.streams else "application/json"})
        await response.prepare(request)
        for _ in range(1600):
            await response.write(b"x" * 65_536)
        return response

    async def _resource(self, request: web.Request) -> web.Response:
        return web.json_response({"resource": self.url, "authorization_servers": [self.base]})

    async def _metadata(self, request: web.Request) -> web.Response:
        ends = {f"{name}_endpoint": f"{self.base}/{path}" for name, path in [("authorization", "authorize"), ("token", "token")]}
        more = {"response_types_supported": ["code"], "code_challenge_methods_supported": ["S256"]}
        return web.json_response({"issuer": self.base, "registration_endpoint": f"{self.base}/register", **ends, **more})

    async def _register(self, request: web.Request) -> web.Response:
        return web.json_response({**await request.json(), "client_id": "client-1"}, status=201)

    async def _authorize(self, request: web.Request) -> web.Response:
        code = secrets.token_hex(8)
        self._challenges[code] = request.query["code_challenge"]
        back = {"code": code, "state": request.query["state"]}
        raise web.HTTPFound(f"{request.query['redirect_uri']}?{urlencode(back)}")

    async def _token(self, request: web.Request) -> web.Response:
        form: dict[str, Any] = dict(await request.post())
        if self.mode == "500":
            return web.Response(status=500)
        if self.mode == "hang":
            await self.lifts.wait()
        if form["grant_type"] == "authorization_code":
            digest = hashlib.sha256(form["code_verifier"].encode()).digest()
            if self._challenges.pop(form["code"], "") != base64.urlsafe_b64encode(digest).rstrip(b"=").decode():
                return web.json_response({"error": "invalid_grant"}, status=400)
            return web.json_response(self.granted(refresh=True))
        if form["refresh_token"] not in self.refresh_tokens:
            return web.json_response({"error": "invalid_grant"}, status=400)
        self.renewals += 1
        if self.replaces:
            self.refresh_tokens.discard(form["refresh_token"])
        return web.json_response(self.granted(refresh=self.replaces))

    def granted(self, *, refresh: bool) -> dict[str, Any]:
        """New tokens; those before are good for nothing any more."""
        self.tokens = {secrets.token_hex(8)}
        made: dict[str, Any] = {"access_token": next(iter(self.tokens)), "token_type": "Bearer", "expires_in": self.expires_in}
        if refresh:
            made["refresh_token"] = secrets.token_hex(8)
            self.refresh_tokens.add(made["refresh_token"])
        return made
