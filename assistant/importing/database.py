"""SQLite files of others, read from a copy: what is written meanwhile is no matter, nothing is changed, and no query runs for ever."""

import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp
from types import TracebackType
from typing import Any, Final, Self

from assistant.importing.archive import Archive
from assistant.importing.reading import MOST_BYTES
from assistant.importing.source import Skips

_MOST_COPIED: Final = 4 << 30
_BLOCK: Final = 1 << 20
_STEPS: Final = 1_000_000
_MOST_STEPS: Final = 20_000
"""How many million steps a query may take."""
_TABLE: Final = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?"


class Rows:
    """The rows of a database of an archive, texts as bytes. One that is not there, or is broken, has none; a line says why."""

    def __init__(self, archive: Archive, name: str, skips: Skips) -> None:
        self._archive = archive
        self._name = name
        self._skips = skips
        self._folder: Path | None = None
        self._connection: sqlite3.Connection | None = None
        self._steps = 0

    def __enter__(self) -> Self:
        if self._name not in self._archive.files:
            return self
        self._folder = Path(mkdtemp(prefix="nanobot-import-"))
        try:
            for end in ("", "-wal"):
                self._copy(end)
            self._connection = connection = sqlite3.connect(self._folder / "copy")
            connection.text_factory = bytes
            connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MOST_BYTES)
            connection.set_progress_handler(self._step, _STEPS)
            connection.execute("PRAGMA trusted_schema = OFF")
            connection.execute("PRAGMA query_only = ON")
        except (OSError, ValueError, sqlite3.Error) as error:
            self._skips.add(self._name, f"can't be read ({str(error)[:100]})")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._connection is not None:
            self._connection.close()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def read(self, table: str, query: str) -> Iterator[tuple[Any, ...]]:
        """The rows of a query of ours over a table; of a view by that name, none."""
        if self._connection is None:
            return
        try:
            if self._connection.execute(_TABLE, (table,)).fetchone():
                yield from self._connection.execute(query)
        except sqlite3.Error as error:
            self._skips.add(self._name, f"breaks off ({str(error)[:100]})")

    def _step(self) -> int:
        self._steps += 1
        return int(self._steps > _MOST_STEPS)

    def _copy(self, end: str) -> None:
        file = self._archive.files.get(self._name + end)
        if file is None or self._folder is None:
            return
        copied = 0
        with file.open() as source, (self._folder / f"copy{end}").open("xb") as copy:
            while data := source.read(_BLOCK):
                copied += len(data)
                if copied > _MOST_COPIED:
                    raise ValueError(f"is larger than {_MOST_COPIED >> 30} GiB")
                copy.write(data)
