"""Bring a store's schema to its newest revision: `python -m assistant.store.migrate`, the database's URL on
standard input, and in a second line the revision, if another than the newest.
`python -m assistant.store.migrate --snapshot` writes `sqlite.sql` and `postgresql.sql` anew from the tables, after adding a revision.

A process of its own: Alembic and SQLAlchemy take a second and 60 MB, which the server then neither waits for at its usual start nor keeps.
"""

import sys
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Dialect, create_engine, event, make_url, pool
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

from assistant.store import migrations, tables
from assistant.store.database import WRITER_LOCK

_FOLDER = Path(migrations.__file__).parent
_DIALECTS: dict[str, Dialect] = {"sqlite": sqlite.dialect(), "postgresql": postgresql.dialect()}


def configuration() -> Config:
    """Alembic's configuration for the revisions in this package."""
    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    return config


def newest_revision() -> str | None:
    """The revision that the scripts lead to."""
    return ScriptDirectory.from_config(configuration()).get_current_head()


def upgrade(url: str, revision: str = "head") -> None:
    """Apply what is missing up to `revision`, in one transaction that no other writer shares."""
    address = make_url(url)
    engine = create_engine(
        address.set(drivername="postgresql+psycopg") if address.drivername == "postgresql" else address, poolclass=pool.NullPool
    )
    if engine.dialect.name == "sqlite":
        # Python's driver would begin no transaction before DDL: begin it here, as a writer.
        event.listen(engine, "connect", _leave_transactions_to_us)
        event.listen(engine, "begin", _begin_immediately)
    config = configuration()
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            # In another process that starts at the same time, Alembic then reads the revision only after this one is done.
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({WRITER_LOCK})")
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    engine.dispose()


def _leave_transactions_to_us(driver_connection: object, _record: object) -> None:
    setattr(driver_connection, "isolation_level", None)  # noqa: B010 - SQLAlchemy types it as any driver's connection


def _begin_immediately(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def snapshot(dialect: str) -> str:
    """What makes the newest schema in an empty database: "sqlite" or "postgresql"."""
    made: list[str] = []
    for table in tables.SQLModel.metadata.sorted_tables:
        made.append(str(CreateTable(table).compile(dialect=_DIALECTS[dialect])))
        made.extend(
            str(CreateIndex(index).compile(dialect=_DIALECTS[dialect]))
            for index in sorted(table.indexes, key=lambda index: str(index.name))
        )
    made.append(
        "CREATE TABLE alembic_version (\n\tversion_num VARCHAR(32) NOT NULL, \n\tCONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)\n)"
    )
    made.append(f"INSERT INTO alembic_version (version_num) VALUES ('{newest_revision()}')")  # noqa: S608 - a file of this package
    return "".join(f"{statement.strip()};\n\n".replace(", \n", ",\n") for statement in made)


if __name__ == "__main__":
    if "--snapshot" in sys.argv:
        for name in _DIALECTS:
            (_FOLDER / f"{name}.sql").write_text(snapshot(name), encoding="utf-8")
    else:
        upgrade(*sys.stdin.read().split("\n"))
