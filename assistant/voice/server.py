"""Servers that speak OpenAI's `/audio/transcriptions` and `/audio/speech`, over the client of the models' providers.

https://platform.openai.com/docs/api-reference/audio
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeVar, cast
from uuid import uuid4

import orjson

from assistant.contracts.causes import Payer
from assistant.contracts.errors import ProviderFailed, RequestRefused, UnreadableFile
from assistant.contracts.messages import Usage
from assistant.contracts.voice import Heard, Sound
from assistant.providers.http import HttpClient, ProviderEndpoint
from assistant.voice.settings import SpeakerSettings, TranscriberSettings

T = TypeVar("T")
_MOST_SPEECH: Final = 20_000_000
"""Bytes of a spoken text."""
_LONGEST_WAIT: Final = 5.0
_TYPES: Final = {"mp3": "audio/mpeg", "m4a": "audio/mp4", "mp4": "video/mp4"}
"""The types of those that are not called `audio/<kind>`."""


class VoiceHttp:
    """A model behind an HTTP API."""

    def __init__(self, endpoint: ProviderEndpoint) -> None:
        self.names = endpoint.info.provider, endpoint.info.id
        self._http = HttpClient(endpoint)

    async def close(self) -> None:
        await self._http.close()

    async def _twice(self, ask: Callable[[], Awaitable[T]]) -> T:
        """What a busy server refuses is asked once more."""
        try:
            return await ask()
        except ProviderFailed as error:
            if not error.retryable:
                raise
            await asyncio.sleep(min(error.retry_after if error.retry_after is not None else 1.0, _LONGEST_WAIT))
        return await ask()


class ServerTranscriber(VoiceHttp):
    """Implements Transcriber."""

    def __init__(self, endpoint: ProviderEndpoint, settings: TranscriberSettings) -> None:
        super().__init__(endpoint)
        name = "languages[]" if endpoint.info.id.startswith("gpt-transcribe") else "language"
        language = {name: settings.language} if settings.language else {}
        self._fields = {"model": endpoint.info.id, "response_format": "json", **language}

    async def transcribe(self, recording: Sound, payer: Payer) -> Heard:
        data = await asyncio.to_thread(recording.path.read_bytes)
        kind, body = form(self._fields, f"recording.{recording.kind}", media_type(recording.kind), data)
        try:
            return await self._twice(lambda: self._ask(kind, body, recording))
        except RequestRefused as error:
            raise UnreadableFile("is not taken by the server that transcribes.") from error

    async def _ask(self, kind: str, body: bytes, recording: Sound) -> Heard:
        async with self._http.request("POST", "/audio/transcriptions", body, content_type=kind) as response:
            answer = await self._http.json(response)
        text = answer.get("text")
        if not isinstance(text, str):
            raise ProviderFailed(f"{self.names[0]} answered without a text.", retryable=False)
        seconds, usage = billed(answer.get("usage"))
        return Heard(text=text, seconds=seconds or recording.seconds, usage=usage)


class ServerSpeaker(VoiceHttp):
    """Implements Speaker."""

    def __init__(self, endpoint: ProviderEndpoint, settings: SpeakerSettings) -> None:
        super().__init__(endpoint)
        self._fields = {"model": endpoint.info.id, "voice": settings.voice, "response_format": settings.format}

    async def speak(self, text: str, payer: Payer) -> bytes:
        return await self._twice(lambda: self._ask(orjson.dumps({**self._fields, "input": text})))

    async def _ask(self, body: bytes) -> bytes:
        who, pieces, size = self.names[0], list[bytes](), 0
        async with self._http.request("POST", "/audio/speech", body) as response:
            async for piece in response.content.iter_any():
                pieces.append(piece)
                size += len(piece)
                if size > _MOST_SPEECH:
                    raise ProviderFailed(f"{who} sent more than {_MOST_SPEECH // 1_000_000} MB of speech.", retryable=False)
        spoken = b"".join(pieces)
        if spoken[:1] in {b"", b"{", b"<"}:
            raise ProviderFailed(f"{who} answered without a sound.", retryable=False)
        return spoken


def media_type(kind: str) -> str:
    return _TYPES.get(kind, f"audio/{kind}")


def form(fields: Mapping[str, str], name: str, kind: str, data: bytes) -> tuple[str, bytes]:
    """(Content-Type, body) of multipart/form-data with a file. Names and values are ours."""
    boundary = uuid4().hex
    parts = [f'--{boundary}\r\nContent-Disposition: form-data; name="{field}"\r\n\r\n{value}\r\n' for field, value in fields.items()]
    parts.append(f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\nContent-Type: {kind}\r\n\r\n')
    return f"multipart/form-data; boundary={boundary}", b"".join(["".join(parts).encode(), data, f"\r\n--{boundary}--\r\n".encode()])


def billed(told: object) -> tuple[float | None, Usage]:
    """(Seconds, tokens) that a transcription is billed by: whisper-1 counts seconds, gpt-4o-transcribe tokens."""
    fields = cast("dict[str, Any]", told) if isinstance(told, dict) else {}
    seconds, sent, made = [fields.get(name) for name in ("seconds", "input_tokens", "output_tokens")]
    tokens = Usage(prompt_tokens=sent if isinstance(sent, int) else 0, completion_tokens=made if isinstance(made, int) else 0)
    return float(seconds) if isinstance(seconds, int | float) else None, tokens
