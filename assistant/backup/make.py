"""Making a backup, while the server runs: the rows as of one moment, then every file that they name, and the other files as they are."""

import asyncio
import contextlib
import os
import platform
import shutil
import tempfile
from collections.abc import Callable, Collection, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Final, cast

import apsw

from assistant import __version__
from assistant.backup.archive import ArchiveMember, ArchiveWriter, BackupRefused
from assistant.backup.blobs import blobs_held, named_blobs, write_blobs
from assistant.backup.rows import kept_tables, read_pages, sequences
from assistant.contracts.messages import Json
from assistant.contracts.records import record
from assistant.store.blobs import removals_held
from assistant.store.database import DatabaseEngine, StoreSettings
from assistant.store.places import Blob
from assistant.store.store import HEAD

_BLOCK: Final = 1 << 20
_IN_MEMORY: Final = 8 << 20
_SQLITE: Final = b"SQLite format 3\0"
_BESIDE_SQLITE: Final = ("-wal", "-shm", "-journal")
_NOT_KEPT: Final = frozenset({"tmp", "lock", "held"})
"""What stores of files have besides the files."""
_TRIES: Final = 3
_MOST_NAMED: Final = 100
_BUSY_MILLISECONDS: Final = 5000
Advance = Callable[[int], object]
"""Called with the bytes that were done since the last call."""


@record
class BackupSources:
    """What a backup is made of."""

    engine: DatabaseEngine
    by_digest: Mapping[str, Path]
    """Folders of files that rows name by their digest, by the name that they have in the archive; they may be missing."""
    folders: Mapping[str, Path]
    """Folders whose files change at any time."""
    texts: Mapping[str, bytes]
    """Small files by their whole names: "config/config.json"."""
    scratch: Path
    """Where large files that may change are copied to, one at a time."""
    store: StoreSettings = field(default_factory=StoreSettings)
    """Where else the files are that rows name."""

    def size(self) -> int:
        """Bytes of the files that there are now."""
        folders = (*self.by_digest.values(), *self.folders.values())
        return sum(entry.stat(follow_symlinks=False).st_size for folder in folders for entry, _ in _walk(folder) if _is_file(entry))


@dataclass(slots=True, kw_only=True)
class BackupMade:
    rows: int = 0
    files: int = 0
    size: int = 0
    """Bytes of the files."""
    left_out: list[str] = field(default_factory=list[str])
    """Links and special files, which no backup holds, and files that could not be read: the first hundred."""


def write_backup(sources: BackupSources, out: BinaryIO, advance: Advance = int) -> BackupMade:
    """Write the archive into `out`. Blocks; takes a few MiB of memory, and disk for files above 8 MiB that may change while they are read.

    Raises BackupRefused for files that can't be read, StoreUnavailable.
    """
    made = BackupMade()
    tables = kept_tables()
    head: dict[str, Json] = {
        "version": __version__,
        "revision": HEAD,
        "made": datetime.now(UTC).isoformat(timespec="microseconds"),
        "host": platform.node(),
        "tables": {table.name: list(table.columns) for table in tables},
    }
    own = os.fstat(out.fileno())
    with ArchiveWriter(out, head, sources.scratch) as archive, contextlib.ExitStack() as held:
        for folder in sources.by_digest.values():
            held.enter_context(removals_held(folder))
        held.enter_context(blobs_held(sources.engine))
        for name, contents in sources.texts.items():
            archive.add_bytes(name, contents)
        counts, given, elsewhere = _write_rows(sources.engine, archive)
        made.rows = sum(counts.values())
        manifest: dict[str, Json] = {"rows": dict(counts), "sequences": dict(given)}
        for name, folder in sources.by_digest.items():
            _Files(archive, made, advance, own, None).write(f"files/{name}", folder, elsewhere)
        if elsewhere:
            asyncio.run(write_blobs(sources.engine, sources.store, elsewhere, archive, sources.scratch))
            made.files += len(elsewhere)
            made.size += sum(blob.size for blob in elsewhere.values())
        held.close()
        for name, folder in sources.folders.items():
            _Files(archive, made, advance, own, sources.scratch).write(f"files/{name}", folder)
        archive.finish({**manifest, "files": made.files, "size": made.size})
    return made


def _write_rows(engine: DatabaseEngine, archive: ArchiveWriter) -> tuple[Mapping[str, int], Mapping[str, int], dict[str, Blob]]:
    """All tables as of one moment. Returns how many rows each has, the highest ids that were given, and the files that all servers read."""
    link = engine.connect(writes=False)
    try:
        if link.dialect == "postgresql":
            # It idles while a page is compressed and written.
            link.execute("SET idle_in_transaction_session_timeout = 0")
        link.begin()
        ((revision,),) = link.execute("SELECT version_num FROM alembic_version")
        if revision != HEAD:
            raise BackupRefused(f"The store is of revision {revision}, and this version's is {HEAD}: another version runs. Stop it first.")
        counts: dict[str, int] = {}
        for table in kept_tables():
            rows = 0
            for number, (count, packed) in enumerate(read_pages(link, table)):
                archive.add_bytes(f"rows/{table.name}/{number:06}", packed)
                rows += count
            counts[table.name] = rows
        given, blobs = sequences(link), named_blobs(link)
        link.rollback()
    finally:
        link.close()
    return counts, given, blobs


@dataclass(frozen=True, slots=True)
class _Files:
    """Writes folders. `scratch`: where files are copied to that may change while they are read; None: none does."""

    archive: ArchiveWriter
    made: BackupMade
    advance: Advance
    own: os.stat_result
    """Of the backup itself, which is in no backup."""
    scratch: Path | None

    def write(self, name: str, folder: Path, elsewhere: dict[str, Blob] | None = None) -> None:
        """`elsewhere`: files by `<folder>/<name>`; those that are written from here leave it."""
        self.archive.add(ArchiveMember(name=name, mode=0o700, folder=True))
        for entry, relative in _walk(folder, () if self.scratch else _NOT_KEPT):
            try:
                self._write(entry, f"{name}/{relative}")
            except FileNotFoundError:  # removed meanwhile
                continue
            except PermissionError:
                raise BackupRefused(f"{entry.path} can't be read by this user: run this as the user that runs the server.") from None
            if elsewhere:
                elsewhere.pop(f"{folder.name}/{entry.name}", None)

    def _write(self, entry: "os.DirEntry[str]", name: str) -> None:
        found = entry.stat(follow_symlinks=False)
        mode, at = found.st_mode & 0o700, found.st_mtime
        if entry.is_dir(follow_symlinks=False):
            self.archive.add(ArchiveMember(name=name, mode=mode, at=at, folder=True))
        elif not _is_file(entry):
            if len(self.made.left_out) < _MOST_NAMED:
                self.made.left_out.append(entry.path)
        elif not os.path.samestat(found, self.own) and not _beside_sqlite(entry.path):
            with open(entry.path, "rb") as opened, self._still(opened) as (source, size):
                self.archive.add(ArchiveMember(name=name, size=size, mode=mode, at=at), source)
            self.made.files += 1
            self.made.size += size
            self.advance(size)

    @contextlib.contextmanager
    def _still(self, opened: BinaryIO) -> Generator[tuple[BinaryIO, int]]:
        """The file as of one moment, as far as that is possible, and its size."""
        size = os.fstat(opened.fileno()).st_size
        if self.scratch is None:
            yield opened, size
        elif opened.read(len(_SQLITE)) == _SQLITE:
            with tempfile.NamedTemporaryFile(dir=self.scratch) as copy:
                _copy_sqlite(opened.name, copy.name)
                size = os.stat(copy.name).st_size
                yield cast("BinaryIO", copy), size
        elif size <= _IN_MEMORY:
            opened.seek(0)
            contents = opened.read(2 * _IN_MEMORY)
            yield BytesIO(contents), len(contents)
        else:
            with tempfile.TemporaryFile(dir=self.scratch) as copy:
                for _ in range(_TRIES):
                    before = os.fstat(opened.fileno())
                    opened.seek(0)
                    copy.seek(0)
                    shutil.copyfileobj(opened, copy, _BLOCK)
                    copy.truncate()
                    after = os.fstat(opened.fileno())
                    if (before.st_mtime_ns, before.st_size) == (after.st_mtime_ns, after.st_size):
                        break
                size = copy.tell()
                copy.seek(0)
                yield cast("BinaryIO", copy), size


def _walk(folder: Path, without: Collection[str] = ()) -> "Iterator[tuple[os.DirEntry[str], str]]":
    """Everything below a folder, a folder before what is in it, with its path from there; nothing where there is no folder. Links are not followed.
    `without`: names at the top that are left out."""
    waiting = [(str(folder), "")]
    while waiting:
        place, above = waiting.pop()
        try:
            with os.scandir(place) as entries:
                found = sorted(entries, key=lambda entry: entry.name)
        except (FileNotFoundError, NotADirectoryError):
            continue
        for entry in found:
            if above or entry.name not in without:
                yield entry, above + entry.name
                if entry.is_dir(follow_symlinks=False):
                    waiting.append((entry.path, f"{above}{entry.name}/"))


def _is_file(entry: "os.DirEntry[str]") -> bool:
    return entry.is_file(follow_symlinks=False)


def _beside_sqlite(path: str) -> bool:
    """Whether it is the log of a SQLite database, whose copy needs none."""
    main = next((path.removesuffix(suffix) for suffix in _BESIDE_SQLITE if path.endswith(suffix)), None)
    try:
        with open(main or os.devnull, "rb") as opened:
            return opened.read(len(_SQLITE)) == _SQLITE
    except OSError:
        return False


def _copy_sqlite(path: str, to: str) -> None:
    """A channel's own database, such as the keys of end-to-end encryption, whole even while it is written. Raises BackupRefused."""
    try:
        with (
            contextlib.closing(apsw.Connection(path, flags=apsw.SQLITE_OPEN_READONLY)) as source,
            contextlib.closing(apsw.Connection(to)) as copy,
        ):
            source.set_busy_timeout(_BUSY_MILLISECONDS)
            with copy.backup("main", source, "main") as backup:
                backup.step(-1)
    except apsw.Error as error:
        raise BackupRefused(f"{path} is a SQLite database that can't be copied ({type(error).__name__}): stop what writes it.") from None
