"""A stand-in for a server that hears and speaks, as OpenAI's documents say, with their limits and errors.

https://platform.openai.com/docs/api-reference/audio

async with SpeechServer() as speech:
    speech.hears["recording"] = "what is said in it"; speech.url, speech.heard, speech.said
"""

import asyncio
from collections import deque
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self

from aiohttp import web

from tests.doubles.sounds import opus, wav

FORMATS: Final = ("flac", "m4a", "mp3", "mp4", "mpeg", "mpga", "oga", "ogg", "wav", "webm")
_MOST_BYTES: Final = 25 * 1024 * 1024
_MOST_INPUT: Final = 4_096
_SPEAKS: Final = {"opus": "audio/ogg", "mp3": "audio/mpeg", "wav": "audio/wav", "flac": "audio/flac", "aac": "audio/aac"}


@dataclass(frozen=True, slots=True, kw_only=True)
class HeardFile:
    """A recording that was sent to be heard."""

    name: str
    data: bytes
    fields: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusing:
    """What the next request of a kind gets in place of an answer."""

    status: int
    message: str = "The server had an error while processing your request."
    headers: dict[str, str] = field(default_factory=dict[str, str])
    body: bytes | None = None


class SpeechServer:
    def __init__(self, *, key: str = "", words: str = "remind me of the milk") -> None:
        """`key`: without it, every request is refused. `words`: what is heard in every recording."""
        self.key, self.words = key, words
        self.heard: list[HeardFile] = []
        self.said: list[dict[str, Any]] = []
        self.refuses: deque[Refusing] = deque()
        """To be heard."""
        self.mutes: deque[Refusing] = deque()
        """To be spoken."""
        self.usage: dict[str, Any] | None = None
        self.sound: bytes | None = None
        """What it speaks, whatever was asked for; None: a sound in the format that was asked for."""
        self.asked = 0
        self.gate = asyncio.Event()
        """What was heard is answered once it is set."""
        self.gate.set()
        self.held = b""
        """Only recordings with these bytes wait; empty: everything."""
        self.waiting = asyncio.Event()
        """Set by the first request that waits."""

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=64 * 1024 * 1024, middlewares=[self._admit])
        app.router.add_post("/v1/audio/transcriptions", self._transcribe)
        app.router.add_post("/v1/audio/speech", self._speak)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self._port: int = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.gate.set()
        await self._runner.cleanup()

    @property
    def url(self) -> str:
        """The `apiBase`."""
        return f"http://127.0.0.1:{self._port}/v1"

    @web.middleware
    async def _admit(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.asked += 1
        if self.key and request.headers.get("Authorization") != f"Bearer {self.key}":
            return _error(401, f"Incorrect API key provided: {request.headers.get('Authorization', '')[7:]}.", "invalid_api_key")
        waiting = self.mutes if request.path.endswith("/speech") else self.refuses
        if waiting and request.method == "POST":
            refusing = waiting.popleft()
            await request.read()
            if refusing.body is not None:
                return web.Response(status=refusing.status, body=refusing.body, headers=refusing.headers)
            return _error(refusing.status, refusing.message, "", refusing.headers)
        return await handler(request)

    async def _transcribe(self, request: web.Request) -> web.Response:
        form = await request.post()
        file = form.get("file")
        if not isinstance(file, web.FileField) or not form.get("model"):
            return _error(400, "you must provide a model parameter" if file else "file: Field required", "")
        data = file.file.read()
        if len(data) > _MOST_BYTES:
            return _error(413, f"Maximum content size limit ({_MOST_BYTES}) exceeded ({len(data)} bytes read)", "")
        if file.filename.rpartition(".")[2] not in FORMATS:
            return _error(400, f"Invalid file format. Supported formats: {list(FORMATS)}", "")
        if not self.gate.is_set() and self.held in data:
            self.waiting.set()
            await self.gate.wait()
        self.heard.append(HeardFile(name=file.filename, data=data, fields={k: v for k, v in form.items() if isinstance(v, str)}))
        return web.json_response({"text": self.words, **({"usage": self.usage} if self.usage else {})})

    async def _speak(self, request: web.Request) -> web.Response:
        asked = await request.json()
        if missing := [name for name in ("model", "input", "voice") if not asked.get(name)]:
            return _error(400, f"[{{'type': 'missing', 'loc': ('body', '{missing[0]}'), 'msg': 'Field required'}}]", "")
        if len(asked["input"]) > _MOST_INPUT:
            return _error(400, f"[{{'type': 'string_too_long', 'loc': ('body', 'input'), 'ctx': {{'max_length': {_MOST_INPUT}}}}}]", "")
        form = asked.get("response_format", "mp3")
        self.said.append(asked)
        made = self.sound if self.sound is not None else opus(1.0) if form == "opus" else wav(1.0)
        return web.Response(body=made, content_type=_SPEAKS.get(form, "application/octet-stream"))


def _error(status: int, message: str, code: str, headers: dict[str, str] | None = None) -> web.Response:
    kind = "server_error" if status >= 500 else "invalid_request_error"
    body = {"error": {"message": message, "type": kind, "param": None, "code": code or None}}
    return web.json_response(body, status=status, headers=headers or {})
