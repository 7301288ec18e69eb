"""A backup as it is read: its rows into a SQLite database of their own, its files into a folder, and nothing anywhere else."""

import contextlib
import os
import shutil
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

import apsw

from assistant.backup.archive import ArchiveMember, BackupBroken, BackupRefused, read_archive
from assistant.backup.rows import MOST_PAGE, add_rows, continue_sequences, kept_tables, unpack_page
from assistant.contracts.errors import StoreUnavailable
from assistant.contracts.records import record
from assistant.store.database import DatabaseLink
from assistant.store.store import HEAD, make_or_look, open_engine

ROWS: Final = "rows.db"
_BLOCK: Final = 1 << 20
_SPARE: Final = 64 << 20
Prepare = Callable[[str, str], object]
"""(URL, revision): makes the schema of an older revision."""


@record
class BackupHead:
    """What a backup says of itself at its beginning."""

    version: str
    revision: str
    made: datetime
    host: str
    tables: Mapping[str, tuple[str, ...]]

    @classmethod
    def read(cls, head: Mapping[str, Any]) -> "BackupHead":
        """Raises BackupBroken, and BackupRefused for one of a newer version."""
        try:
            revision = str(head["revision"])
            tables = {str(name): tuple(map(str, columns)) for name, columns in head["tables"].items()}
            made = datetime.fromisoformat(head["made"])
            found = cls(version=str(head["version"]), revision=revision, made=made, host=str(head["host"]), tables=tables)
            aware = made.utcoffset() is not None
        except (KeyError, TypeError, ValueError, AttributeError):
            raise BackupBroken("The backup is damaged: its head is not one.") from None
        if not aware or not (revision.isdigit() and len(revision) == len(HEAD)):
            raise BackupBroken("The backup is damaged: its head is not one.")
        if revision > HEAD:
            raise BackupRefused(
                f"The backup was made by nanobot {found.version}, whose schema ({revision}) is newer than this one's ({HEAD}): upgrade nanobot first."
            )
        return found


@dataclass(slots=True)
class Unpacked:
    """A whole backup, checked."""

    head: BackupHead
    rows: dict[str, int] = field(default_factory=dict[str, int])
    files: int = 0
    size: int = 0
    configuration: str = ""
    """The name of its configuration file, in the folder `config`; empty: it has none."""


def check_backup(source: BinaryIO) -> Unpacked:
    """Read all of a backup, and check it, without using anything. Raises BackupBroken, BackupRefused."""
    return _read(source, lambda head: _Checking(head))


def unpack_backup(source: BinaryIO, folder: Path, prepare: Prepare) -> Unpacked:
    """Unpack a backup into an empty folder: `files/`, `config/`, and the database `ROWS` of the backup's revision. Blocks.

    Raises BackupBroken, BackupRefused (a newer version; the disk is too small), StoreUnavailable.
    """
    with contextlib.ExitStack() as opened:
        return _read(source, lambda head: opened.enter_context(_unpacking(head, folder, prepare)))


class _Checking:
    """Takes members; here they are counted only."""

    def __init__(self, head: BackupHead) -> None:
        self.found = Unpacked(head)

    def take(self, member: ArchiveMember, stream: BinaryIO) -> None:
        place, _, rest = member.name.partition("/")
        if place == "rows":
            table, _, number = rest.partition("/")
            columns = self.found.head.tables.get(table)
            if columns is None or not number.isdigit() or member.size > MOST_PAGE:
                raise BackupBroken(f"The backup holds {member.name[:200]!r}, which no backup of nanobot does. Nothing of it was used.")
            rows = unpack_page(stream.read(), len(columns))
            self.take_rows(table, columns, rows)
            self.found.rows[table] = self.found.rows.get(table, 0) + len(rows)
        elif place == "config":
            if rest.startswith("config."):
                self.found.configuration = rest
            self.take_file(member, stream)
        else:
            self.found.files += not member.folder
            self.found.size += member.size
            self.take_file(member, stream)

    def take_rows(self, table: str, columns: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None: ...

    def take_file(self, member: ArchiveMember, stream: BinaryIO) -> None: ...

    def end(self, manifest: Mapping[str, Any]) -> None: ...


def _read(source: BinaryIO, taking: Callable[[BackupHead], _Checking]) -> Unpacked:
    takers: list[_Checking] = []
    manifest = read_archive(
        source,
        lambda head: takers.append(taking(BackupHead.read(head))),
        lambda member, stream: takers[0].take(member, stream),
    )
    found = takers[0].found
    rows = {name: count for name, count in _numbers(manifest, "rows").items() if count}
    if rows != found.rows or (manifest.get("files"), manifest.get("size")) != (found.files, found.size):
        raise BackupBroken("The backup is damaged: it holds fewer rows or files than were written.")
    takers[0].end(manifest)
    return found


def _numbers(manifest: Mapping[str, Any], name: str) -> dict[str, int]:
    found = manifest.get(name)
    items = cast("dict[object, object]", found).items() if isinstance(found, dict) else None
    if items is None or not all(isinstance(key, str) and isinstance(value, int) and 0 <= value < 1 << 63 for key, value in items):
        raise BackupBroken("The backup is damaged: its manifest is not one.")
    return cast("dict[str, int]", found)


class _Unpacking(_Checking):
    def __init__(self, head: BackupHead, folder: Path, link: DatabaseLink) -> None:
        super().__init__(head)
        self._folder = folder
        self._link = link
        there: dict[str, set[str]] = {}
        for (name,) in link.execute("SELECT name FROM sqlite_master WHERE type = 'table'"):
            there[name] = {column[1] for column in link.execute(f'PRAGMA table_info("{name}")')}
        for name, columns in head.tables.items():
            if there.get(name) != {*columns} or len({*columns}) != len(columns) or name in ("alembic_version", "freezes"):
                raise BackupBroken(f"The backup's table {name[:100]!r} is none of its revision {head.revision}.")

    def take_rows(self, table: str, columns: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None:
        try:
            add_rows(self._link, table, columns, rows)
        except (apsw.Error, OverflowError) as error:
            raise BackupBroken(f"The backup is damaged: its rows of {table!r} do not fit together ({type(error).__name__}).") from None

    def take_file(self, member: ArchiveMember, stream: BinaryIO) -> None:
        path = self._folder / member.name
        try:
            if member.folder:
                path.mkdir(mode=0o700, parents=True, exist_ok=True)
                return
            if shutil.disk_usage(self._folder).free < member.size + _SPARE:
                raise BackupRefused(f"There is too little room in {self._folder.parent} for what the backup holds.")
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            mode = 0o600 | member.mode
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode), "wb") as file:
                shutil.copyfileobj(stream, file, _BLOCK)
            if member.at:
                os.utime(path, (member.at, member.at))
        except (FileExistsError, NotADirectoryError, ValueError):
            raise BackupBroken(f"The backup holds {member.name[:200]!r} as two things.") from None

    def end(self, manifest: Mapping[str, Any]) -> None:
        if self._link.execute("PRAGMA foreign_key_check"):
            raise BackupBroken("The backup is damaged: it holds rows whose owners are missing.")
        known = {table.name for table in kept_tables() if table.counts_up} & self.found.head.tables.keys()
        continue_sequences(self._link, {name: seq for name, seq in _numbers(manifest, "sequences").items() if name in known})
        self._link.commit()


@contextlib.contextmanager
def _unpacking(head: BackupHead, folder: Path, prepare: Prepare) -> Generator[_Unpacking]:
    url = f"sqlite:///{folder / ROWS}"
    if head.revision != HEAD:
        prepare(url, head.revision)
    link = open_engine(url).connect(writes=True)
    try:
        link.begin()
        make_or_look(link)
        link.commit()
        for pragma in ("foreign_keys = OFF", "synchronous = OFF", "secure_delete = OFF", "journal_mode = MEMORY"):
            link.execute(f"PRAGMA {pragma}")
        link.begin(relaxed=False)
        yield _Unpacking(head, folder, link)
    except StoreUnavailable as error:
        raise BackupRefused(f"The backup can't be unpacked into {folder.parent}: {error.message}") from error
    finally:
        link.close()
