"""faster-whisper on this machine: a process for each recording, so that its memory is free again behind it. Nothing is ever downloaded."""

import asyncio
import json
import logging
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import assistant
from assistant.contracts.causes import Payer
from assistant.contracts.errors import ProviderFailed, UnreadableFile
from assistant.contracts.voice import Heard, Sound
from assistant.voice.settings import LOCAL, TranscriberSettings

log = logging.getLogger(__name__)

INSTALL: Final = "pip install 'nanobot[voice]'"
_START: Final = (
    "import json, sys; job = json.loads(sys.argv[1]); sys.path[:] = job['path']; from assistant.voice.child import main; main(job)"
)
_ENVIRONMENT: Final = ("LD_LIBRARY_PATH", "SYSTEMROOT")
_MOST_ANSWER: Final = 4_000_000


def get_weights(folder: Path) -> str:
    """How to get some, by a command."""
    return f"pip install huggingface_hub && hf download Systran/faster-whisper-small --local-dir {folder}"


class LocalTranscriber:
    """Implements Transcriber."""

    def __init__(self, settings: TranscriberSettings, folder: Path) -> None:
        """`folder`: of the weights."""
        self._settings, self._folder = settings, folder
        self.names = LOCAL, folder.name

    async def transcribe(self, recording: Sound, payer: Payer) -> Heard:
        await self._check()
        told = await self._run(str(recording.path.resolve()))
        if words := told.get("refused"):
            raise UnreadableFile(str(words))
        if not isinstance(text := told.get("text"), str):
            raise ProviderFailed(str(told.get("failed") or "The process that hears ended without an answer."), retryable=False)
        return Heard(text=text, seconds=told.get("seconds"))

    async def _check(self) -> None:
        """Whether it is installed and the weights are there. Loads neither. Raises ProviderFailed, which says how to get them."""
        if find_spec("faster_whisper") is None:
            raise ProviderFailed(f"faster-whisper is not installed: {INSTALL}", retryable=False)
        if not await asyncio.to_thread((self._folder / "model.bin").is_file):
            words = f"{self._folder} holds no weights of faster-whisper (model.bin is missing): {get_weights(self._folder)}"
            raise ProviderFailed(words, retryable=False)

    async def close(self) -> None:
        """Each process ends with its call."""

    async def _run(self, file: str) -> Mapping[str, Any]:
        """What the process answers; empty where it ended without. It is killed where this is cancelled."""
        settings, home = self._settings, str(Path(assistant.__file__).parents[1])
        job = {
            "path": [home, *map(os.path.abspath, filter(None, sys.path))],
            "folder": str(self._folder),
            "file": file,
            "language": settings.language,
            "threads": settings.threads,
            "memory_mib": settings.memory_mib,
            "seconds": settings.timeout,
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-I", "-S", "-c", _START, json.dumps(job),
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
            env={"LC_ALL": "C.UTF-8", "HF_HUB_OFFLINE": "1", **{name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}},
            cwd="/", start_new_session=True,
        )  # fmt: skip
        assert process.stdout is not None
        try:
            data = bytearray()
            while len(data) < _MOST_ANSWER and (more := await process.stdout.read(_MOST_ANSWER)):
                data += more
            code = await process.wait()
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.kill()
                await asyncio.shield(process.wait())
        if code != 0:
            log.warning("voice.child_died code=%d", code)
        try:
            return json.loads(data)
        except ValueError:
            return {}
