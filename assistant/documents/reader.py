"""The reader of files that the server uses: a child process for every file, with limits, ended and reaped whatever happens."""

import asyncio
import json
import logging
import os
import signal
import stat
import sys
from pathlib import Path, PurePath

import assistant
from assistant.contracts.documents import ReadDocument, ReadImage
from assistant.contracts.errors import FileTooLarge, NanobotError, UnreadableFile, UnsupportedFileType
from assistant.contracts.turns import Upload
from assistant.documents.limits import MIB
from assistant.documents.refusals import Reason
from assistant.documents.reply import MOST_HEAD, BadReply, Refusal, Reply, unpack
from assistant.documents.settings import DocumentSettings

log = logging.getLogger(__name__)

_START = (
    "import json, sys; job = json.loads(sys.argv[1]); sys.path[:] = job['path']; "
    "from assistant.documents.limits import Limits; from assistant.documents.child import main; "
    "main(job['suffix'], Limits(**job['limits']))"
)
_ENVIRONMENT = ("LD_LIBRARY_PATH", "SYSTEMROOT")
"""All that the child gets of our environment: what an interpreter may need to start."""

_ERRORS: dict[Reason, type[NanobotError]] = {"unreadable": UnreadableFile, "unsupported": UnsupportedFileType, "too_large": FileTooLarge}


class ChildReader:
    """A `DocumentReader` that reads every file in a process of its own.

    At most `settings.parallel` at a time; waiting for a place does not count against a file's time. A cancelled read ends its process.
    """

    def __init__(self, settings: DocumentSettings) -> None:
        self._settings = settings
        self._places = asyncio.Semaphore(settings.parallel)
        home = str(Path(assistant.__file__).parents[1])
        self._imports = [home, *(os.path.abspath(place) for place in sys.path if place)]  # the child has no working folder of ours
        self._limits = settings.model_dump(exclude={"parallel"})
        self._most_reply = 4 + MOST_HEAD + max(4 * settings.text_chars, 2 * settings.image_bytes, 4 * settings.image_side**2 + MIB)

    async def read(self, upload: Upload) -> ReadDocument | ReadImage:
        if upload.size == 0:
            raise UnreadableFile(f"{upload.name} is empty.", param=upload.param)
        async with self._places:
            reply = await self._ask(upload)
        if isinstance(reply, Refusal):
            log.info("document.refused digest=%s reason=%s detail=%s", upload.digest[:12], reply.reason, reply.detail)
            raise _ERRORS[reply.reason](f"{upload.name} {reply.words}", param=upload.param)
        return reply

    async def _ask(self, upload: Upload) -> Reply:
        source = await asyncio.to_thread(_open, upload.path)
        try:
            child = await self._start(source, PurePath(upload.name).suffix.lower()[:16])
        finally:
            os.close(source)
        try:
            async with asyncio.timeout(self._settings.wall_seconds):
                data = await _receive(child, self._most_reply)
                code = await child.wait()
        except TimeoutError:
            return Refusal(
                reason="unreadable",
                words=f"takes longer than {self._settings.wall_seconds:g} s to read (documents.wallSeconds).",
                detail="wall",
            )
        finally:
            await _end(child)
        return self._judge(data, code)

    async def _start(self, source: int, suffix: str) -> asyncio.subprocess.Process:
        job = {"path": self._imports, "suffix": suffix, "limits": self._limits}
        return await asyncio.create_subprocess_exec(
            sys.executable,
            *("-I", "-S", "-c", _START, json.dumps(job)),
            stdin=source,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={"LC_ALL": "C.UTF-8", **{key: os.environ[key] for key in _ENVIRONMENT if key in os.environ}},
            cwd="/",
            start_new_session=True,
        )

    def _judge(self, data: bytearray | None, code: int) -> Reply:
        """What the child said, or what its end says where it said nothing."""
        if code in (-signal.SIGXCPU, -signal.SIGKILL):
            words = f"needs more than {self._settings.cpu_seconds} s of computing time to read (documents.cpuSeconds)."
            return Refusal(reason="unreadable", words=words, detail="cpu")
        if data:
            try:
                return unpack(data)
            except BadReply:
                log.warning("document.bad_reply code=%s", code)
        words = f"can't be read: it is damaged, or needs more than {self._settings.memory_mib} MiB of memory (documents.memoryMib)."
        return Refusal(reason="unreadable", words=words, detail=f"exit {code}")


def _open(path: Path) -> int:
    """A descriptor of the spooled file, which must be a plain file and not a link to one."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise UnreadableFile
    return descriptor


async def _receive(child: asyncio.subprocess.Process, most: int) -> bytearray | None:
    """All that the child says; None where that is more than any reply of ours."""
    if child.stdout is None:
        raise BadReply
    data = bytearray()
    while chunk := await child.stdout.read(MIB):
        data += chunk
        if len(data) > most:
            return None
    return data


async def _end(child: asyncio.subprocess.Process) -> None:
    """Kills the child and whatever it started, unless it has ended, and reaps it."""
    if child.returncode is None:
        try:
            os.killpg(child.pid, signal.SIGKILL)
        except ProcessLookupError:
            log.debug("document.child_gone")
        while child.stdout is not None and await child.stdout.read(MIB):
            pass  # asyncio's own loop notes no end before all that was said is read
        await child.wait()
