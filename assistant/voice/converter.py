"""ffmpeg, where this machine has it: in the sandbox, without a network, with limits, and told what the bytes are, so that no playlist is followed."""

import asyncio
import shutil
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from assistant.contracts.errors import ToolFailed, UnreadableFile
from assistant.contracts.sandbox import Sandbox, SandboxCommand
from assistant.voice.sounds import DEMUXERS

GET_FFMPEG: Final = "install it (apt install ffmpeg)"
_QUIET: Final = ("-hide_banner", "-nostdin", "-loglevel", "error", "-protocol_whitelist", "file")
_MEMORY: Final = 512 * 1024**2
_DISK: Final = 200 * 1024**2
SECONDS: Final = 60.0
_PREFIX: Final = "voice-"
_LEFT_BEHIND: Final = 3_600.0
"""Seconds after which a folder is no running conversion's."""
HEARABLE: Final = ("-vn", "-ac", "1", "-ar", "16000", "-c:a", "libopus", "-b:a", "24k", "-f", "ogg")
"""What every transcriber takes, and little to send: 3 kB a second."""
VOICE_NOTE: Final = ("-vn", "-ac", "1", "-ar", "48000", "-c:a", "libopus", "-b:a", "32k", "-f", "ogg")


class Converter:
    """Makes one kind of sound another."""

    def __init__(self, sandbox: Sandbox, scratch: Path) -> None:
        """`scratch`: a folder of the server's; each conversion has one of its own in it, which is removed behind it."""
        self._sandbox, self._scratch = sandbox, scratch

    async def missing(self) -> str:
        """Why nothing can be converted, in a clause; empty: it can be."""
        if shutil.which("ffmpeg", path="/usr/local/bin:/usr/bin:/bin") is None:
            return "ffmpeg is not installed"
        return "ffmpeg is only run in a sandbox, and this machine has none" if await self._sandbox.rung() == "none" else ""

    def _tidied(self) -> None:
        """Make the folder, without what killed servers left in it."""
        self._scratch.mkdir(parents=True, exist_ok=True)
        for left in self._scratch.glob(f"{_PREFIX}*"):
            with suppress(FileNotFoundError):  # a conversion that ended
                if left.stat().st_mtime < time.time() - _LEFT_BEHIND:
                    shutil.rmtree(left, ignore_errors=True)

    async def convert(self, source: Path | bytes, kind: str, to: Sequence[str], result: Path, *, most_seconds: float | None = None) -> None:
        """Write it to `result`. `kind`: what the bytes are. `to`: ffmpeg's options. `most_seconds`: what is behind that is left out.
        Raises UnreadableFile."""
        await asyncio.to_thread(self._tidied)
        with tempfile.TemporaryDirectory(prefix=_PREFIX, dir=self._scratch, ignore_cleanup_errors=True) as name:
            folder = Path(name)
            await asyncio.to_thread(_put, source, folder / "in")
            cut = () if most_seconds is None else ("-t", f"{most_seconds:g}")
            argv = ("ffmpeg", *_QUIET, "-f", DEMUXERS.get(kind, kind), "-i", "in", *cut, *to, "out")
            command = SandboxCommand(argv=argv, folder=folder, seconds=SECONDS, memory_bytes=_MEMORY, processes=64, disk_bytes=_DISK)
            try:
                ran = await self._sandbox.run(command)
            except ToolFailed as error:
                raise UnreadableFile("can't be converted: this machine has no sandbox to run ffmpeg in.") from error
            made = folder / "out"
            if ran.code != 0 or ran.ended != "exit" or not made.is_file() or not made.stat().st_size:
                raise UnreadableFile("holds no sound that can be read.")
            await asyncio.to_thread(_put, made, result)


def _put(source: Path | bytes, to: Path) -> None:
    with suppress(FileNotFoundError):
        to.unlink()
    if isinstance(source, bytes):
        to.write_bytes(source)
    else:
        shutil.copyfile(source, to)
