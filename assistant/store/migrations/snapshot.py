"""Write `sqlite.sql` and `postgresql.sql` anew from the tables: `python -m assistant.store.migrations.snapshot`, after adding a revision."""

from pathlib import Path

from sqlalchemy import Dialect
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

from assistant.store import tables
from assistant.store.api_tables import SQLModel
from assistant.store.migrate import newest_revision

METADATA = tables.SQLModel.metadata
"""Of all tables: to import a module of them is to add them."""
assert SQLModel.metadata is METADATA
_DIALECTS: dict[str, Dialect] = {"sqlite": sqlite.dialect(), "postgresql": postgresql.dialect()}


def statements(dialect: str) -> list[str]:
    """What makes the newest schema in an empty database: "sqlite" or "postgresql"."""
    made: list[str] = []
    for table in METADATA.sorted_tables:
        made.append(str(CreateTable(table).compile(dialect=_DIALECTS[dialect])))
        made.extend(
            str(CreateIndex(index).compile(dialect=_DIALECTS[dialect]))
            for index in sorted(table.indexes, key=lambda index: str(index.name))
        )
    made.append(
        "CREATE TABLE alembic_version (\n\tversion_num VARCHAR(32) NOT NULL, \n\tCONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)\n)"
    )
    made.append(f"INSERT INTO alembic_version (version_num) VALUES ('{newest_revision()}')")  # noqa: S608 - a file of this package
    return [statement.strip().replace(", \n", ",\n") for statement in made]


def text(dialect: str) -> str:
    """The contents of the dialect's file."""
    return "".join(f"{statement};\n\n" for statement in statements(dialect))


if __name__ == "__main__":
    for name in _DIALECTS:
        (Path(__file__).parent / f"{name}.sql").write_text(text(name), encoding="utf-8")
