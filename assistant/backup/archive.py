"""The archive of a backup: a tar, compressed by gzip, that is written and read in one pass.

`head.json` is its first member: the format, the version, the revision of the schema, the columns of the tables. Then come `config/`, `rows/<table>/`
and `files/<folder>/`; `SHA256SUMS`, as sha256sum writes it, of all of these; and last `manifest.json`, by which an archive that was cut is known.
"""

import contextlib
import gzip
import json
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Generator, Mapping
from hashlib import sha256
from io import BytesIO
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Any, BinaryIO, Final, Self, cast

from assistant.contracts.errors import NanobotError
from assistant.contracts.messages import Json
from assistant.contracts.records import record

FORMAT: Final = 1
HEAD, SUMS, MANIFEST = "head.json", "SHA256SUMS", "manifest.json"
_PLACES: Final = frozenset({"config", "rows", "files"})
_BLOCK: Final = 1 << 20
_LEVEL: Final = 1
"""gzip's: most bytes of a store are pictures and documents, which are compressed already."""
_LATEST: Final = float(1 << 40)
"""Seconds since 1970 that every file system can hold as a time, or turns into one that it can."""
_MOST_TEXT: Final = 64 << 20
"""Bytes of a member that is read as a whole: the head, the manifest."""


class BackupBroken(NanobotError, status=400, code="backup_broken"):
    """The file is no whole backup."""


class BackupRefused(NanobotError, status=409, code="backup_refused"):
    """This can't be backed up or restored now."""


@record
class ArchiveMember:
    """A file or a folder of the archive, its name with slashes."""

    name: str
    size: int = 0
    mode: int = 0o600
    at: float = 0.0
    """When it was changed, in seconds since 1970."""
    folder: bool = False


class _Hashing:
    """A stream whose bytes are hashed as they are read."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._hash = sha256()

    def read(self, most: int = -1) -> bytes:
        block = self._stream.read(most)
        self._hash.update(block)
        return block

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()


class ArchiveWriter:
    """Writes members one after the other; `finish` makes the archive whole. Used with `with`: what fails leaves it unfinished."""

    def __init__(self, out: BinaryIO, head: Mapping[str, Json], scratch: Path) -> None:
        """`out` stays open. `scratch`: a folder for the sums of very many files."""
        self._gzip = gzip.GzipFile(filename="", fileobj=out, mode="wb", compresslevel=_LEVEL)
        self._tar = tarfile.open(fileobj=self._gzip, mode="w|", format=tarfile.PAX_FORMAT)  # noqa: SIM115 - closed by `finish`
        self._sums = tempfile.SpooledTemporaryFile(_BLOCK, dir=str(scratch))  # noqa: SIM115 - closed by `__exit__`
        self.add_bytes(HEAD, json.dumps({"format": FORMAT, **head}).encode())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        cast("Any", self._tar).fileobj.closed = True  # else it would write an end when it is collected
        self._sums.close()

    def add_bytes(self, name: str, contents: bytes) -> None:
        self.add(ArchiveMember(name=name, size=len(contents)), BytesIO(contents))

    def add(self, member: ArchiveMember, source: BinaryIO | None = None) -> None:
        """`source`: of a file, with `member.size` bytes at least. Raises OSError where it ends before."""
        found = tarfile.TarInfo(member.name)
        found.size, found.mode, found.mtime = member.size, member.mode, int(member.at)
        found.type = tarfile.DIRTYPE if member.folder else tarfile.REGTYPE
        hashing = _Hashing(source) if source is not None else None
        self._tar.addfile(found, cast("Any", hashing))
        cast("Any", self._tar).members = []  # kept by tarfile, and needed by nothing that writes or reads a stream
        if hashing is not None:
            self._sums.write(_sum_line(hashing.digest, member.name))

    def finish(self, manifest: Mapping[str, Json]) -> None:
        size = self._sums.tell()
        self._sums.seek(0)
        hashing = _Hashing(cast("BinaryIO", self._sums))
        found = tarfile.TarInfo(SUMS)
        found.size, found.mode = size, 0o600
        self._tar.addfile(found, cast("Any", hashing))
        text = json.dumps({**manifest, "sums": hashing.digest}).encode()
        last = tarfile.TarInfo(MANIFEST)
        last.size, last.mode = len(text), 0o600
        self._tar.addfile(last, BytesIO(text))
        self._tar.close()
        self._gzip.close()


Take = Callable[[ArchiveMember, BinaryIO], None]


def read_archive(source: BinaryIO, begin: Callable[[dict[str, Any]], None], take: Take) -> dict[str, Any]:
    """Read an archive to its end and check all of it. Returns its manifest.

    `begin` gets the head, first. `take` gets each member, a file with a stream of its bytes. Neither may have lasting effects: an archive that is
    damaged, cut, not ours or not safe to unpack raises BackupBroken, perhaps at its very end.
    """
    with (
        _told_apart(),
        tempfile.SpooledTemporaryFile(_BLOCK) as sums,
        gzip.GzipFile(fileobj=source, mode="rb") as unzipped,
        tarfile.open(fileobj=unzipped, mode="r|") as tar,
    ):
        reader = _Reader(tar, cast("BinaryIO", sums))
        begin(reader.head())
        manifest = reader.rest(take)
        while unzipped.read(_BLOCK):  # to the checksum at the end
            pass
    return manifest


class _Reader:
    def __init__(self, tar: tarfile.TarFile, sums: BinaryIO) -> None:
        """`sums`: an empty file, for those of what was read."""
        self._tar = tar
        self._sums = sums
        self._seen: set[int] = set()

    def head(self) -> dict[str, Any]:
        found = self._next()
        if found is None or found.name != HEAD:
            raise BackupBroken("The file is not a backup of nanobot.")
        head = _object(self._text(found))
        if head.get("format") != FORMAT:
            raise BackupBroken("The backup was made by a newer version of nanobot: restore it with that one.")
        return head

    def rest(self, take: Take) -> dict[str, Any]:
        while (found := self._next()) is not None and found.name != SUMS:
            member = _checked(found)
            if (known := hash(member.name.rstrip("/"))) in self._seen:
                raise BackupBroken(f"The backup holds {member.name[:200]!r} twice.")
            self._seen.add(known)
            stream = _Hashing(_stream(self._tar, found))
            take(member, cast("BinaryIO", stream))
            while stream.read(_BLOCK):
                pass
            if not member.folder:
                self._sums.write(_sum_line(stream.digest, member.name))
        if found is None:
            raise BackupBroken("The backup is cut off: its end is missing.")
        sums = self._compare_sums(found)
        last = self._next()
        if last is None or last.name != MANIFEST:
            raise BackupBroken("The backup is cut off: its manifest is missing.")
        manifest = _object(self._text(last))
        if manifest.get("sums") != sums or self._next() is not None:
            raise BackupBroken("The backup was changed: its manifest does not belong to it.")
        return manifest

    def _compare_sums(self, found: tarfile.TarInfo) -> str:
        self._sums.seek(0)
        stream = _Hashing(_stream(self._tar, found))
        rest = b""
        while block := stream.read(_BLOCK):
            lines = (rest + block).split(b"\n")
            rest = lines.pop()
            for line in lines:
                if self._sums.readline() != line + b"\n":
                    raise BackupBroken(f"The backup is damaged: {line[66:266].decode(errors='replace')!r} is not as it was written.")
        if rest or self._sums.readline():
            raise BackupBroken("The backup was changed: it holds files without a checksum.")
        return stream.digest

    def _next(self) -> tarfile.TarInfo | None:
        found = self._tar.next()
        cast("Any", self._tar).members = []
        return found

    def _text(self, found: tarfile.TarInfo) -> bytes:
        if not found.isreg() or found.size > _MOST_TEXT:
            raise BackupBroken("The backup is damaged: its head or manifest is not one.")
        text = _stream(self._tar, found).read()
        if found.name == HEAD:
            self._sums.write(_sum_line(sha256(text).hexdigest(), HEAD))
        return text


def _stream(tar: tarfile.TarFile, found: tarfile.TarInfo) -> BinaryIO:
    return cast("BinaryIO", tar.extractfile(found) or BytesIO()) if found.type == tarfile.REGTYPE else BytesIO()


def _checked(found: tarfile.TarInfo) -> ArchiveMember:
    """A member that can't leave its place. Raises BackupBroken."""
    path = PurePosixPath(found.name)
    plain = found.type in (tarfile.REGTYPE, tarfile.DIRTYPE) and not found.issparse() and abs(found.mtime) < _LATEST
    safe = str(path) == found.name.rstrip("/") and not path.is_absolute() and ".." not in path.parts and "\0" not in found.name
    if not plain or not safe or path.parts[0] not in _PLACES or (path.parts[0] == "config" and len(path.parts) != 2):
        raise BackupBroken(f"The backup holds {found.name[:200]!r}, which no backup of nanobot does. Nothing of it was used.")
    folder = found.type == tarfile.DIRTYPE
    return ArchiveMember(name=str(path), size=found.size, mode=found.mode & 0o700, at=float(found.mtime), folder=folder)


def _object(text: bytes) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise BackupBroken("The backup is damaged: its head or manifest is not one.")
    return cast("dict[str, Any]", found)


def _sum_line(digest: str, name: str) -> bytes:
    """As sha256sum writes it."""
    escaped = name.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
    return f"{chr(92) if escaped != name else ''}{digest}  {escaped}\n".encode("utf-8", "surrogateescape")


@contextlib.contextmanager
def _told_apart() -> Generator[None]:
    """What a file that is no whole archive raises."""
    try:
        yield
    except EOFError:
        raise BackupBroken("The backup is cut off: its end is missing.") from None
    except gzip.BadGzipFile as error:
        raise BackupBroken(f"The file is not a backup of nanobot, or it is damaged ({error}).") from None
    except (tarfile.TarError, zlib.error) as error:
        raise BackupBroken(f"The backup is damaged ({error}).") from None
