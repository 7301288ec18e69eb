"""The rows of a store in a form of their own: the same from and for SQLite and PostgreSQL."""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple, cast

import ormsgpack

from assistant.backup.archive import BackupBroken
from assistant.store import migrations
from assistant.store.database import SqlRow, SqlValue, Transaction

_OURS: Final = frozenset({"alembic_version", "freezes", "blobs", "blob_chunks"})
"""Tables that are the place's own. What is in the blobs is among the archive's files."""
_TABLE: Final = re.compile(r"CREATE TABLE (\w+) \((.*?)\n\)", re.DOTALL)
_COLUMN: Final = re.compile(r'^\t"?(\w+)"? (?:VARCHAR|INTEGER|BIGINT|BLOB)', re.MULTILINE)
_KEY: Final = re.compile(r"^\tPRIMARY KEY \((.*)\)|^\t(\w+) INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT", re.MULTILINE)
_FEW, _MANY = 16, 4096
_PAGE: Final = 1 << 20
"""Bytes that a page of rows aims at."""
MOST_PAGE: Final = 512 << 20
_AT_ONCE: Final = 1000
"""Values of one INSERT."""
_SERIAL: Final = """
    SELECT table_name, column_name, pg_get_serial_sequence(quote_ident(table_name), column_name) FROM information_schema.columns
    WHERE table_schema = current_schema() AND column_default LIKE 'nextval(%' ORDER BY table_name"""


class KeptTable(NamedTuple):
    """A table of the newest schema."""

    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    counts_up: bool
    """Whether ids are never used again."""


@cache
def kept_tables() -> tuple[KeptTable, ...]:
    """Those that a backup holds, each behind those that it refers to; read from what makes a new store."""
    text = (Path(migrations.__file__).parent / "sqlite.sql").read_text(encoding="utf-8")
    found: list[KeptTable] = []
    for name, body in _TABLE.findall(text):
        keys = _KEY.search(body)
        if name not in _OURS and keys is not None:
            key = tuple((keys[1] or keys[2]).replace('"', "").split(", "))
            found.append(KeptTable(name, tuple(_COLUMN.findall(body)), key, keys[1] is None))
    return tuple(found)


def read_pages(connection: Transaction, table: KeptTable) -> Iterator[tuple[int, bytes]]:
    """(How many rows, the rows) of a table in the order of its key, in pages of about a MiB each. Call it within one transaction."""
    columns, key = _listed(table.columns), _listed(table.key)
    places = [table.columns.index(name) for name in table.key]
    most = _FEW
    last: SqlRow | None = None
    while True:
        after = "" if last is None else f" WHERE ({key}) > ({', '.join([f':k{place}' for place in places])})"
        values: dict[str, SqlValue] = {} if last is None else {f"k{place}": last[place] for place in places}
        # Names of this package's own schema only.
        rows = connection.execute(f"SELECT {columns} FROM {table.name}{after} ORDER BY {key} LIMIT {most}", values)  # noqa: S608
        if not rows:
            return
        packed = ormsgpack.packb(rows)
        yield len(rows), packed
        if len(rows) < most:
            return
        last = rows[-1]
        most = min(max(most * _PAGE // len(packed), _FEW), 4 * most, _MANY)


def unpack_page(packed: bytes, width: int) -> list[SqlRow]:
    """Raises BackupBroken unless they are rows of so many values."""
    try:
        rows = cast("object", ormsgpack.unpackb(packed))
    except ormsgpack.MsgpackDecodeError:
        rows = None
    found = (
        [tuple(cast("list[object]", row)) for row in cast("list[object]", rows) if isinstance(row, list)] if isinstance(rows, list) else []
    )
    plain = all(value is None or isinstance(value, (int, float, str, bytes)) for row in found for value in row)
    if (
        not isinstance(rows, list)
        or not plain
        or [row for row in found if len(row) != width]
        or len(found) != len(cast("list[object]", rows))
    ):
        raise BackupBroken("The backup is damaged: it holds rows that are none.")
    return found


def add_rows(connection: Transaction, table: str, columns: Sequence[str], rows: Sequence[SqlRow]) -> None:
    """`table` and `columns` are names of the schema, checked by the caller. Raises the driver's error for rows that do not fit."""
    each = max(1, _AT_ONCE // len(columns))
    for start in range(0, len(rows), each):
        some = rows[start : start + each]
        values: dict[str, SqlValue] = {f"v{at}": value for at, value in enumerate(value for row in some for value in row)}
        width = len(columns)
        places = ", ".join([f"({', '.join([f':v{at}' for at in range(row * width, (row + 1) * width)])})" for row in range(len(some))])
        connection.execute(f"INSERT INTO {table} ({_listed(columns)}) VALUES {places}", values)  # noqa: S608 - as the caller says


def sequences(connection: Transaction) -> Mapping[str, int]:
    """The highest id that each table ever gave, where ids are not used again."""
    if connection.dialect == "sqlite":
        return dict(connection.execute("SELECT name, seq FROM sqlite_sequence ORDER BY name"))
    found: dict[str, int] = {}
    for table, _, sequence in connection.execute(_SERIAL):
        ((last, called),) = connection.execute(f"SELECT last_value, is_called FROM {sequence}")  # noqa: S608 - the database's own name
        found[table] = last if called else last - 1  # not called: it is the next one
    return found


def continue_sequences(connection: Transaction, given: Mapping[str, int]) -> None:
    """Go on behind the ids that were given there, and behind those that there are."""
    if connection.dialect == "sqlite":
        for name, seq in given.items():
            if not connection.execute(
                "UPDATE sqlite_sequence SET seq = max(seq, :seq) WHERE name = :name RETURNING seq", {"seq": seq, "name": name}
            ):
                connection.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (:name, :seq)", {"seq": seq, "name": name})
        return
    for table, column, sequence in connection.execute(_SERIAL):
        ((highest,),) = connection.execute(f"SELECT COALESCE(MAX({column}), 0) FROM {table}")  # noqa: S608 - the database's own names
        # Not setval(), which a rollback does not undo.
        connection.execute(f"ALTER SEQUENCE {sequence} RESTART WITH {max(highest, given.get(table, 0)) + 1}")


def _listed(names: Sequence[str]) -> str:
    return ", ".join([f'"{name}"' for name in names])
