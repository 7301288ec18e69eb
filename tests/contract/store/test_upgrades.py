"""Stores of every earlier revision, with rows in, are upgraded with what they held; and there is a way back."""

import sqlite3
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, LargeBinary, MetaData, String, Table, create_engine, func, insert, make_url, select
from sqlalchemy.dialects.postgresql import REGCLASS
from sqlalchemy.types import TypeEngine

from assistant.contracts.errors import StoreUnavailable
from assistant.store.database import StoreSettings
from assistant.store.migrate import configuration, upgrade
from assistant.store.snapshots import keep_snapshot, roll_back, snapshots, written_since
from assistant.store.store import HEAD, open_store
from tests.clocks import TurnedClock

from .conftest import Opener
from .said import turn
from .sent import event, send_all

pytestmark = pytest.mark.usefixtures("empty")
REVISIONS = [script.revision for script in ScriptDirectory.from_config(configuration()).walk_revisions()][1:]
ROWS = 3
Rows = dict[str, list[dict[str, object]]]


def engine_of(url: str) -> Engine:
    return create_engine(make_url(url).set(drivername="postgresql+psycopg") if url.startswith("postgresql") else url)


def tables_of(engine: Engine) -> list[Table]:
    found = MetaData()
    found.reflect(engine)
    return [table for table in found.sorted_tables if table.name not in ("alembic_version", "freezes")]


def fill(url: str) -> list[Table]:
    """Rows in every table that the store has; returns those."""
    engine = engine_of(url)
    tables = tables_of(engine)
    with engine.begin() as connection:
        for table in tables:
            rows = [
                {column.name: value(table.name, column.name, column.type, number) for column in table.columns}
                for number in range(1, ROWS + 1)
            ]
            connection.execute(insert(table), rows)
            if engine.dialect.name == "postgresql":  # ids are given on behind those of the rows, as they are where it made them itself
                for column in table.primary_key:
                    counter = select(func.pg_get_serial_sequence(table.name, column.name)).scalar_subquery()
                    connection.execute(select(func.setval(counter.cast(REGCLASS), ROWS)))
    engine.dispose()
    return tables


def value(table: str, column: str, kind: TypeEngine[object], number: int) -> object:
    if isinstance(kind, LargeBinary):
        return bytes([number])
    if not isinstance(kind, String):
        return number
    if column == "payload":
        return f'{{"id":"msg_{number}","parts":[{{"text":"from before","kind":"text"}}],"role":"user","private":false}}'
    return str(number)


def rows_of(url: str, tables: list[Table] | None = None) -> Rows:
    """`tables`: None: all that there are by now, which takes a third of a test to find out."""
    engine = engine_of(url)
    with engine.connect() as connection:
        found = {table.name: [dict(row) for row in connection.execute(select(table)).mappings()] for table in tables or tables_of(engine)}
    engine.dispose()
    return found


@pytest.mark.parametrize("revision", REVISIONS)
async def test_no_row_of_an_older_store_is_lost(open_again: Opener, url: str, revision: str) -> None:
    upgrade(url, revision)
    before = rows_of(url, fill(url))
    assert all(len(rows) == ROWS for rows in before.values())
    upgrade(url)
    after = rows_of(url)
    for table, rows in before.items():
        assert len(after[table]) >= ROWS, table
        kept = [{name: row[name] for name in rows[0].keys() & row.keys()} for row in after[table]]
        lost = [row for row in rows if {name: row[name] for name in kept[0]} not in kept]
        assert lost == [], table
    store = await open_again()
    await store.sessions.begin_turn(turn("turn_1", "hello"), None)
    ((found,),) = await store.database.select("SELECT version_num FROM alembic_version")
    assert found == HEAD


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A store of the last revision before this one's."""
    path = tmp_path / "state" / "nanobot.db"
    path.parent.mkdir()
    upgrade(f"sqlite:///{path}", REVISIONS[0])
    return path


def numbers(path: Path) -> tuple[str, int]:
    connection = sqlite3.connect(path)
    ((revision,),) = connection.execute("SELECT version_num FROM alembic_version")
    ((sessions,),) = connection.execute("SELECT COUNT(*) FROM sessions")
    connection.close()
    return revision, sessions


async def test_a_copy_is_kept_before_the_schema_changes_and_comes_back(old: Path) -> None:
    settings = StoreSettings(url=f"sqlite:///{old}")
    fill(str(settings.url))
    store = await open_store(settings, old.parent)
    await store.sessions.begin_turn(turn("turn_new", "since"), None)
    await store.close()
    (kept,) = snapshots(old)
    assert (kept.revision, numbers(kept.path), numbers(old)) == (REVISIONS[0], (REVISIONS[0], ROWS), (HEAD, ROWS + 1))
    assert kept.path.stat().st_mode & 0o077 == 0
    assert written_since(old, kept) == {"sessions": 1, "messages": 1}
    roll_back(old, kept)
    assert numbers(old) == (REVISIONS[0], ROWS)
    assert {each.revision: numbers(each.path) for each in snapshots(old)} == {
        REVISIONS[0]: (REVISIONS[0], ROWS),
        HEAD: (HEAD, ROWS + 1),
    }
    await (await open_store(settings, old.parent)).close()
    assert numbers(old) == (HEAD, ROWS)


async def test_what_was_sent_since_is_not_sent_again(tmp_path: Path, clock: TurnedClock) -> None:
    path = tmp_path / "nanobot.db"
    settings = StoreSettings(url=f"sqlite:///{path}")
    store = await open_store(settings, tmp_path, clock=clock)
    await store.outbox.enqueue([event("waits", event_id="evt_1"), event("is sent", event_id="evt_2", chat="7")])
    await store.close()
    keep_snapshot(path, HEAD)
    store = await open_store(settings, tmp_path, clock=clock)
    assert await send_all(store, "telegram:7") == ["is sent"]
    await store.close()
    roll_back(path, snapshots(path)[0])
    store = await open_store(settings, tmp_path, clock=clock)
    assert {each.event.text: each.state for each in await store.outbox.list(None)} == {"waits": "queued", "is sent": "sent"}
    assert await send_all(store, "telegram:7") == []
    await store.close()


async def test_the_last_two_copies_are_kept(old: Path) -> None:
    await (await open_store(StoreSettings(url=f"sqlite:///{old}"), old.parent)).close()
    for revision in ("0018", "0017", "0016"):
        (snapshots(old)[0].path.parent / f"{revision}.db").write_bytes(b"")
    keep_snapshot(old, HEAD)
    assert len(snapshots(old)) == 2
    assert snapshots(old)[0].revision == HEAD


@pytest.mark.parametrize("made", ["0005", "0012"])
async def test_an_upgrade_that_fails_in_the_middle_leaves_the_store_as_it_was(open_again: Opener, url: str, made: str) -> None:
    upgrade(url, made)
    fill(url)
    engine = engine_of(url)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE audit (mine INTEGER)")  # which revision 0018 makes
    engine.dispose()
    before = rows_of(url)
    with pytest.raises(StoreUnavailable, match=r"is as it was\. Start the version of nanobot that you had before"):
        await open_again()
    assert rows_of(url) == before
    engine = engine_of(url)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar() == made
    engine.dispose()


async def test_without_room_for_the_copy_nothing_is_upgraded(old: Path) -> None:
    (old.parent / "nanobot.db-snapshots").write_text("in the way")
    with pytest.raises(StoreUnavailable, match="No copy of the store could be kept before its upgrade"):
        await open_store(StoreSettings(url=f"sqlite:///{old}"), old.parent)
    assert numbers(old) == (REVISIONS[0], 0)
