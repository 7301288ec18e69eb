"""What `nanobot doctor` says of voice: whether something is transcribed, something is said, and sounds can be converted."""

import asyncio
import struct
from collections.abc import Coroutine
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from assistant.app.sandbox import build_sandbox
from assistant.app.voice import open_converter, open_speaker, open_transcriber, weights_folder
from assistant.config import ConfigError, Loaded
from assistant.contracts.causes import Payer
from assistant.contracts.errors import NanobotError
from assistant.contracts.people import OWNER_ID
from assistant.contracts.voice import Sound

_RATE: Final = 8_000
_SILENCE: Final = (
    b"RIFF"
    + struct.pack("<I4s4sIHHIIHH4sI", 36 + 2 * _RATE, b"WAVE", b"fmt ", 16, 1, 1, _RATE, 2 * _RATE, 2, 16, b"data", 2 * _RATE)
    + bytes(2 * _RATE)
)
"""A second of it, as WAV."""
_OWNER: Final = Payer(owner=OWNER_ID, caller=OWNER_ID)
Checked = tuple[str, str, str]
"""(What was checked, what was found, how to fix it; empty: nothing is wrong)."""


async def check_transcriber(loaded: Loaded) -> Checked:
    """By a second of silence: reached, with a key and a model that are accepted; or loaded, on this machine."""
    settings = loaded.config.voice.transcriber
    assert settings is not None

    async def transcribe() -> str:
        transcriber = open_transcriber(loaded)
        assert transcriber is not None
        with TemporaryDirectory(prefix="nanobot-doctor-") as folder:
            sample = Path(folder) / "silence.wav"
            sample.write_bytes(_SILENCE)
            try:
                await transcriber.transcribe(Sound(path=sample, size=len(_SILENCE), kind="wav", seconds=1.0), _OWNER)
            finally:
                await transcriber.close()
        return f"{', '.join(transcriber.names)}; a second of silence was transcribed"

    name, found, fix = await _tried("transcriber", transcribe(), settings.timeout)
    return name, found, _get_local(loaded) if fix and settings.local else fix


async def check_speaker(loaded: Loaded) -> Checked:
    """By a word."""
    settings = loaded.config.voice.speaker
    assert settings is not None

    async def speak() -> str:
        speaker = open_speaker(loaded)
        assert speaker is not None
        try:
            await speaker.speak("OK", _OWNER)
        finally:
            await speaker.close()
        return f"{', '.join(speaker.names)}, {settings.voice}; a word was spoken"

    return await _tried("speaker", speak(), settings.timeout)


async def _tried(name: str, trying: Coroutine[Any, Any, str], seconds: float) -> Checked:
    try:
        async with asyncio.timeout(seconds):
            return name, await trying, ""
    except ConfigError as error:
        return name, str(error), f"correct voice.{name} (docs/voice.md)"
    except NanobotError as error:
        return name, error.message, f"correct voice.{name} (docs/voice.md)"
    except TimeoutError:
        return name, f"no answer within {seconds:g} s", f"start what should answer, or raise voice.{name}.timeout"


def _get_local(loaded: Loaded) -> str:
    from assistant.voice.whisper import INSTALL, get_weights  # noqa: PLC0415 - where it is configured

    return f"{INSTALL} && {get_weights(weights_folder(loaded))}"


async def check_ffmpeg(loaded: Loaded) -> Checked:
    """Missing, it is only wrong where the speaker's sounds need it."""
    from assistant.voice.converter import GET_FFMPEG  # noqa: PLC0415 - where voice is configured

    name, speaker = "ffmpeg", loaded.config.voice.speaker
    missing = await open_converter(loaded, build_sandbox(loaded)).missing()
    if not missing:
        return name, "converts sounds, in the sandbox", ""
    if speaker is not None and speaker.format != "opus":
        return name, f"{missing}: answers by voice are files, and no voice messages", f"{GET_FFMPEG}, or set voice.speaker.format to opus"
    return (
        name,
        f"{missing}: the length of MP3 and the like is not known before they are transcribed, and some forms can't be; {GET_FFMPEG}",
        "",
    )
