"""The files of a request on disk: counted and hashed while they arrive, removed when the request ends."""

import asyncio
import binascii
import os
import stat
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from assistant.api.settings import ApiLimits
from assistant.contracts.errors import FileTooLarge, InvalidRequest, NoSuchFile, RequestTooLarge, StoreUnavailable
from assistant.contracts.messages import human_size
from assistant.contracts.records import record
from assistant.contracts.turns import Upload
from assistant.contracts.util import new_id

_PREFIX = "up"
_LEFT_BEHIND_SECONDS = 3600
_PIECE = 1024 * 1024
_LONGEST_ID = 64

FileLookup = Callable[[str], Awaitable[tuple[str, Path] | None]]
"""Finds an uploaded file by its id: its name and path. None: this caller has no such file."""


def prepare_spool(folder: Path) -> None:
    """Make the folder, private, and sweep it."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    sweep_spool(folder)


def sweep_spool(folder: Path) -> int:
    """Remove what dead processes left: files untouched for an hour. Returns how many. Raises OSError."""
    dead = time.time() - _LEFT_BEHIND_SECONDS
    removed = 0
    for path in folder.glob(f"{_PREFIX}_*"):
        with suppress(FileNotFoundError):  # another process sweeps, too
            status = path.lstat()
            if status.st_mtime < dead and not stat.S_ISDIR(status.st_mode):
                path.unlink()
                removed += 1
    return removed


@asynccontextmanager
async def spooled(folder: Path, limits: ApiLimits, find: FileLookup | None = None, *, hears: bool = False) -> AsyncGenerator["Spool"]:
    """The Spool of a request. At the end its files are removed, unless they were handed over."""
    spool = Spool(folder, limits, find, hears)
    try:
        yield spool
    finally:
        if spool.files:
            await asyncio.to_thread(spool.remove)


@dataclass(slots=True)
class Spool:
    """The files of one request; see `spooled`. What touches a file blocks: call it in a thread.

    Files are new, have names of our own, and only the server's user may read them.
    """

    folder: Path
    """It exists and is private."""
    limits: ApiLimits
    find: FileLookup | None = None
    """None: the request may name no uploaded files."""
    hears: bool = False
    """Whether what the user says may be sent as a recording."""
    files: list["SpooledFile"] = field(default_factory=list["SpooledFile"])
    _bytes: int = 0

    def open(self, name: str, param: str | None) -> "SpooledFile":
        """Begin a file. Raises InvalidRequest where the request already has as many as it may."""
        if len(self.files) >= self.limits.files:
            raise InvalidRequest(f"A request may hold {self.limits.files} files at most.", param=param)
        file = SpooledFile(self, self.folder / new_id(_PREFIX), name, param)
        self.files.append(file)
        return file

    async def take_named(self, file_id: str, param: str) -> Upload:
        """A copy of an uploaded file, as if it had come with the request. Raises NoSuchFile, and what `SpooledFile.write` raises."""
        found = None if self.find is None or len(file_id) > _LONGEST_ID else await self.find(file_id)
        if found is None:
            raise NoSuchFile(param=param)
        return await asyncio.to_thread(self._copy, *found, param)

    def _copy(self, name: str, path: Path, param: str) -> Upload:
        file = self.open(name, param)
        try:
            with path.open("rb") as source:
                while data := source.read(_PIECE):
                    file.write(data)
        except FileNotFoundError:  # deleted meanwhile
            raise NoSuchFile(param=param) from None
        return file.finish()

    def claim(self, size: int, file: "SpooledFile") -> None:
        """Count bytes before they are written. Raises FileTooLarge, RequestTooLarge."""
        if file.size + size > self.limits.file_bytes:
            raise FileTooLarge(f"'{file.name}' is larger than {human_size(self.limits.file_bytes)}.", param=file.param)
        self._bytes += size
        if self._bytes > self.limits.request_bytes:
            raise RequestTooLarge(f"The files are larger than {human_size(self.limits.request_bytes)} together.", param=file.param)

    def hand_over(self) -> None:
        """The caller takes over the files and removes them."""
        self.files.clear()

    def remove(self) -> None:
        for file in self.files:
            file.discard()
        self.files.clear()


class SpooledFile:
    """A file that is being received: counted and hashed as it is written. Raises StoreUnavailable when the disk fails."""

    __slots__ = ("_descriptor", "_digest", "_spool", "name", "param", "path", "size")

    def __init__(self, spool: Spool, path: Path, name: str, param: str | None) -> None:
        self._spool = spool
        self._digest = sha256()
        with _written():
            self._descriptor: int | None = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        self.path = path
        self.name = name
        self.param = param
        self.size = 0

    def write(self, data: bytes | memoryview) -> None:
        """Raises FileTooLarge and RequestTooLarge before a byte beyond the limit is written."""
        if self._descriptor is None:
            raise ValueError("the file is closed")
        self._spool.claim(len(data), self)
        self._digest.update(data)
        rest = memoryview(data)
        with _written():
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        self.size += len(data)

    def finish(self) -> Upload:
        self._close()
        return Upload(name=self.name, path=self.path, size=self.size, digest=self._digest.hexdigest(), param=self.param)

    def discard(self) -> None:
        self._close()
        self.path.unlink(missing_ok=True)

    def _close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


@contextmanager
def _written() -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise StoreUnavailable(f"The file can't be stored: {error.strerror}. Nothing was accepted.") from error


_BASE64_PIECE = 256 * 1024
"""Characters decoded at a time, which holds the interpreter for less than a millisecond."""
_WHITESPACE = b" \t\r\n"
_LONGEST_MEDIA_TYPE = 512


@record
class EncodedFile:
    """A file in a JSON body: its base64 is `text` from `start` on, so that nothing is copied."""

    text: str
    start: int
    name: str
    param: str


def parse_data_url(url: str, param: str) -> tuple[str, int]:
    """The media type of `data:<media type>;base64,…` and the offset of the base64. Raises InvalidRequest for anything else."""
    comma = url.find(",", 0, _LONGEST_MEDIA_TYPE)
    head = url[5:comma].lower().split(";") if comma >= 0 and url[:5].lower() == "data:" else []
    if "base64" not in head[1:]:
        raise InvalidRequest(f"'{param}' must be a data URL such as data:image/png;base64,iVBORw0…", param=param)
    return head[0].strip(), comma + 1


def decode_to_disk(file: EncodedFile, spool: Spool) -> Upload:
    """Blocks: call it in a thread. Raises FileTooLarge (before anything is decoded), and InvalidRequest for invalid base64."""
    length, limit = len(file.text) - file.start, spool.limits.file_bytes
    if length // 4 * 3 > limit * 1.05 + 1024:  # base64 may have line breaks; the exact limit holds while writing
        raise FileTooLarge(f"'{file.name}' is larger than {human_size(limit)}.", param=file.param)
    taken = spool.open(file.name, file.param)
    carried = b""
    try:
        for position in range(file.start, len(file.text), _BASE64_PIECE):
            piece = file.text[position : position + _BASE64_PIECE].encode("ascii")
            if any(space in piece for space in _WHITESPACE):  # in most there is none, and a copy takes as long as decoding
                piece = piece.translate(None, _WHITESPACE)
            piece = carried + piece
            whole = len(piece) // 4 * 4
            last = position + _BASE64_PIECE >= len(file.text)
            carried = b"" if last else piece[whole:]
            taken.write(binascii.a2b_base64(piece if last else piece[:whole], strict_mode=True))
    except (UnicodeEncodeError, binascii.Error):
        raise InvalidRequest(f"'{file.param}' is not valid base64.", param=file.param) from None
    return taken.finish()
