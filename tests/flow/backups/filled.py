"""Stores with something in every table, and what a store and its files hold, for comparing."""

import re
from hashlib import sha256
from pathlib import Path
from typing import Any

from assistant.backup.rows import add_rows, kept_tables
from assistant.store import migrations
from assistant.store.database import DatabaseLink, SqlValue
from assistant.store.store import open_engine

_TABLE = re.compile(r"CREATE TABLE (\w+) \((.*?)\n\)", re.DOTALL)
_COLUMN = re.compile(r'^\t"?(\w+)"? (VARCHAR|INTEGER|BIGINT|BLOB)([^,\n]*)', re.MULTILINE)
_REFERS = re.compile(r"FOREIGN KEY\((\w+)\) REFERENCES (\w+) \((\w+)\)")
_BETWEEN = '", "'
TEXTS = ("plain", "Grüße, 你好 \U0001f600", "a\nb\tc\r\u2028\u202e", "'\";--%s %(x)s :name $1", "x" * 9_000)


def fill(url: str, rows: int = 60) -> None:
    """Put rows into every table of an empty store: long and foreign texts, bytes, numbers at their limits, NULLs, ids with gaps."""
    schema = (Path(migrations.__file__).parent / "sqlite.sql").read_text(encoding="utf-8")
    bodies = dict(_TABLE.findall(schema))
    link = open_engine(url).connect(writes=True)
    link.begin()
    for table in kept_tables():
        kinds = {name: (kind, "NOT NULL" not in rest) for name, kind, rest in _COLUMN.findall(bodies[table.name])}
        refers = {column for column, _, _ in _REFERS.findall(bodies[table.name])}
        values = [tuple(_value(table.name, name, kinds[name], name in refers, number) for name in table.columns) for number in range(rows)]
        add_rows(link, table.name, table.columns, values)
    link.execute("DELETE FROM sessions WHERE id = :last", {"last": rows})  # its id is not used again
    link.commit()
    link.close()


def _value(table: str, name: str, kind: tuple[str, bool], refers: bool, number: int) -> SqlValue:
    text, nullable = kind[0] in ("VARCHAR", "BLOB"), kind[1]
    if refers or (table, name) in (("sessions", "id"), ("outbox", "seq"), ("search_entries", "id"), ("schedules", "id"), ("jobs", "id")):
        return str(number + 1) if text else number + 1
    if (table, name) == ("responses", "id") or (table, name) == ("response_files", "response"):
        return str(number + 1)
    if nullable and number % 3 == 2:
        return None
    if kind[0] == "BLOB":
        return bytes(range(256)) + number.to_bytes(4, "big")
    if text:
        return f"{number} {TEXTS[number % len(TEXTS)]}"
    return number + 1 if kind[0] == "INTEGER" else 2**62 + number


def rows_of(url: str) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table."""
    link: DatabaseLink = open_engine(url).connect(writes=True)
    try:
        link.begin()
        found = {
            table.name: sorted(
                link.execute(f'SELECT "{_BETWEEN.join(table.columns)}" FROM {table.name}'),
                key=lambda row: [(value is not None, str(value)) for value in row],
            )
            for table in kept_tables()
        }
        link.rollback()
    finally:
        link.close()
    return found


def files_of(home: Path) -> dict[str, str]:
    """The SHA-256 of every file that a backup holds, by its path."""
    kept = ("attachments", "media", "channels", "workspace", "skills.lock.json", "config.json")
    return {
        path.relative_to(home).as_posix(): sha256(path.read_bytes()).hexdigest()
        for path in sorted(home.rglob("*"))
        if path.is_file() and path.relative_to(home).parts[0] in kept and path.name not in ("held", "lock")
    }
