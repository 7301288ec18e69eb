"""The server's document reader: a child process with limits for each file."""

import asyncio
import logging
import os
import signal
import stat
import sys
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Annotated

from pydantic import Field, TypeAdapter

import assistant
from assistant.contracts.documents import DocumentPicture, ReadDocument, ReadImage
from assistant.contracts.errors import FileTooLarge, NanobotError, UnreadableFile, UnsupportedFileType
from assistant.contracts.turns import Upload
from assistant.documents.children import ReaderProcesses
from assistant.documents.protocol import MAX_HEAD, MIB, ReaderReply, ReadLimits, ReadRefusal, RefusalReason
from assistant.documents.settings import DocumentSettings

log = logging.getLogger(__name__)

_ERRORS: dict[RefusalReason, type[NanobotError]] = {
    "unreadable": UnreadableFile, "unsupported": UnsupportedFileType, "too_large": FileTooLarge,
}  # fmt: skip
_HEAD = TypeAdapter(dict[str, object])
_NUMBER = TypeAdapter(int)
_PICTURE = TypeAdapter(DocumentPicture)
_REPLY: TypeAdapter[ReaderReply] = TypeAdapter(Annotated[ReaderReply, Field(discriminator="kind")])


class ChildReader:
    """A `DocumentReader` that reads each file in its own process.

    At most `settings.parallel` run at a time; waiting for a slot does not count against a file's time. Cancelling a read kills its process.
    """

    reads_words = False

    def __init__(self, settings: DocumentSettings, limits: ReadLimits | None = None, *, idle_seconds: float = 120) -> None:
        """`limits`: `settings.limits()` by default. `idle_seconds`: without a file, after which no process stands by for the next one."""
        self._limits = limits = limits or settings.limits()
        self._slots = asyncio.Semaphore(settings.parallel)
        home = str(Path(assistant.__file__).parents[1])
        imports = [home, *(os.path.abspath(folder) for folder in sys.path if folder)]  # absolute: the child runs in /
        self._processes = ReaderProcesses(imports, limits, idle=idle_seconds)
        texts, pictures = 4 * limits.text_chars, limits.pictures_bytes + limits.pictures * 4_096
        self._max_reply = 8 + MAX_HEAD + max(texts + pictures, 2 * limits.image_bytes, 4 * limits.image_side**2 + MIB)

    async def read(self, upload: Upload, *, words: bool = False) -> ReadDocument | ReadImage:
        if upload.size == 0:
            raise UnreadableFile(f"{upload.name} is empty.", param=upload.param)
        async with self._slots:
            reply = await self._run_child(upload)
        if isinstance(reply, ReadRefusal):
            log.info("document.refused digest=%s reason=%s detail=%s", upload.digest[:12], reply.reason, reply.detail[:200])
            raise _ERRORS[reply.reason](f"{upload.name} {reply.words[:1_000]}", param=upload.param)
        return reply

    async def close(self) -> None:
        """End the process that stands by for the next file. A later read starts another."""
        await self._processes.close()

    async def _run_child(self, upload: Upload) -> ReaderReply:
        source = await asyncio.to_thread(_open, upload.path)
        try:
            data, code = await self._processes.run(PurePath(upload.name).suffix.lower()[:16], source, self._max_reply)
        finally:
            os.close(source)
        return self._interpret(data, code)

    def _interpret(self, data: bytearray, code: int | None) -> ReaderReply:
        """The child's reply, also where it ended before its last picture; or a refusal derived from its exit code, None where its time was up."""
        if 0 < len(data) <= self._max_reply:
            try:
                return unpack(data)
            except ValueError:
                if code == 0:
                    log.warning("document.bad_reply")
        if code is None:
            return ReadRefusal(words=f"takes longer than {self._limits.wall_seconds:g} s to read (documents.wallSeconds).", detail="wall")
        if code in (-signal.SIGXCPU, -signal.SIGKILL):
            words = f"needs more than {self._limits.cpu_seconds} s of computing time to read (documents.cpuSeconds)."
            return ReadRefusal(words=words, detail="cpu")
        words = f"can't be read: it is damaged, or needs more than {self._limits.memory_mib} MiB of memory (documents.memoryMib)."
        return ReadRefusal(words=words, detail=f"exit {code}")


def _open(path: Path) -> int:
    """A descriptor of the spooled file, which must be a regular file, not a link."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise UnreadableFile
    return descriptor


def unpack(data: bytes | bytearray) -> ReaderReply:
    """Reverses `protocol.pack` and `pack_picture`. The bytes are untrusted, as the file is: raises ValueError where the first frame is malformed
    or cut off; pictures that did not come are missing."""
    head, body, rest = _unframe(memoryview(data))
    planned = 0
    if head.get("kind") == "document":
        head["text"], planned = str(body, "utf-8", "replace"), _NUMBER.validate_python(head.pop("pictures", None))
    elif head.get("kind") == "image":
        head["data"] = bytes(body)
    reply = _REPLY.validate_python(head)
    if isinstance(reply, ReadDocument):
        offsets = [0, *(section.start for section in reply.sections), len(reply.text)]
        if offsets != sorted(offsets):
            raise ValueError
        return _illustrate(reply, planned, rest)
    if isinstance(reply, ReadImage) and not reply.data:
        raise ValueError
    return reply


def _illustrate(document: ReadDocument, planned: int, rest: memoryview) -> ReadDocument:
    """The document with the pictures that came, and a note of those that did not."""
    found: dict[int, DocumentPicture] = {}
    try:
        while rest:
            head, body, rest = _unframe(rest)
            picture = _PICTURE.validate_python({**head, "data": bytes(body)})
            if 1 <= picture.number <= planned and picture.data:
                found[picture.number] = picture
    except ValueError:
        log.info("document.picture_cut_off")
    lost = [number for number in range(1, planned + 1) if number not in found]
    told = (
        f"pictures {', '.join(map(str, lost[:20]))}{' …' if len(lost) > 20 else ''}, which can't be decoded within the limits"
        if lost
        else ""
    )
    missing = "; ".join(filter(None, (document.missing, told)))
    return replace(document, pictures=tuple(found[number] for number in sorted(found)), missing=missing)


def _unframe(data: memoryview) -> tuple[dict[str, object], memoryview, memoryview]:
    """(Head, body, what follows) of the first frame. Raises ValueError."""
    head, body = int.from_bytes(data[:4], "big"), int.from_bytes(data[4:8], "big")
    start, end = 8 + head, 8 + head + body
    if head > MAX_HEAD or end > len(data):
        raise ValueError
    return _HEAD.validate_json(bytes(data[8:start])), data[start:end], data[end:]
