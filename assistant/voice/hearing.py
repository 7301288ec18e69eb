"""Transcribes recordings within the limits: looks at what they are, makes them what the model takes, and asks it."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from assistant.contracts.causes import Payer
from assistant.contracts.errors import FileTooLarge, ProviderTimeout, UnreadableFile
from assistant.contracts.util import new_id, replace_surrogates
from assistant.contracts.voice import Heard, Sound, Transcriber
from assistant.voice.converter import HEARABLE, Converter
from assistant.voice.settings import TranscriberSettings
from assistant.voice.sounds import kind_of, seconds_of

log = logging.getLogger(__name__)

TAKEN: Final = frozenset({"ogg", "mp3", "wav", "flac", "m4a", "webm"})
"""What goes to the model as it is: what OpenAI's documents name for `/v1/audio/transcriptions`, without films, of which the sound is enough."""
_SIDE_BY_SIDE: Final = 4
_MOST_CHARS: Final = 100_000
"""Of one recording: a person speaks 15 characters a second, and a model that repeats itself many more."""


class SoundHearing:
    """Implements VoiceHearing."""

    def __init__(self, transcriber: Transcriber, settings: TranscriberSettings, converter: Converter, scratch: Path) -> None:
        """`scratch`: the folder for files that are removed at once; the spool."""
        self._transcriber = transcriber
        self._settings = settings
        self._converter = converter
        self._scratch = scratch
        self._places = asyncio.Semaphore(1 if settings.local else _SIDE_BY_SIDE)

    def takes(self, head: bytes) -> bool:
        return bool(kind_of(head))

    async def hear(self, recording: Sound, payer: Payer) -> Heard:
        most = self._settings.max_mib * 1_048_576
        if recording.size > most:
            raise FileTooLarge(f"is larger than {self._settings.max_mib:g} MiB.")
        if recording.size == 0:
            raise UnreadableFile("is empty.")
        try:
            async with self._places, asyncio.timeout(self._settings.timeout), self._prepared(recording) as ready:
                heard = await self._transcriber.transcribe(ready, payer)
        except TimeoutError:
            raise ProviderTimeout(f"The transcriber took longer than {self._settings.timeout:g} s (voice.transcriber.timeout).") from None
        words = replace_surrogates(heard.text).replace("\0", "").strip()[:_MOST_CHARS]
        if not words:
            raise UnreadableFile("holds no words that could be heard.")
        return replace(heard, text=words, seconds=heard.seconds or ready.seconds)

    @asynccontextmanager
    async def _prepared(self, recording: Sound) -> AsyncGenerator[Sound]:
        """As the model takes it, and not too long. Raises UnreadableFile."""
        kind = recording.kind or kind_of(await asyncio.to_thread(_head, recording.path))
        if not kind:  # ffmpeg is never left to guess what it was given
            raise UnreadableFile("is no sound in a form that is known here.")
        seconds = recording.seconds or await asyncio.to_thread(seconds_of, recording.path, kind)
        self._check(seconds)
        if kind in TAKEN and seconds is not None:
            yield replace(recording, kind=kind, seconds=seconds)
            return
        if missing := await self._converter.missing():
            if kind not in TAKEN and kind != "mp4" and not self._settings.local:
                raise UnreadableFile(f"is in a form that can't be heard here: {missing}.")
            yield replace(recording, kind=kind)
            return
        made = self._scratch / new_id("up")  # the spool's sweep knows the prefix
        try:
            longest = self._settings.max_seconds + 1
            await self._converter.convert(recording.path, kind, HEARABLE, made, most_seconds=longest)
            seconds = await asyncio.to_thread(seconds_of, made, "ogg")
            self._check(seconds)
            yield Sound(path=made, size=made.stat().st_size, kind="ogg", seconds=seconds)
        finally:
            await asyncio.to_thread(made.unlink, missing_ok=True)

    def _check(self, seconds: float | None) -> None:
        if seconds is not None and seconds > self._settings.max_seconds:
            raise UnreadableFile(f"is longer than {clock(self._settings.max_seconds)} minutes.")


def clock(seconds: float) -> str:
    """ "1:05"."""
    whole = round(seconds)
    return f"{whole // 60}:{whole % 60:02}"


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(64)
