"""Tables, migrations, snapshots and statements say the same, on SQLite and PostgreSQL."""

import inspect
import re
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import get_args

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, make_url, text

from assistant.contracts.errors import StoreUnavailable
from assistant.contracts.ledger import GroupBy
from assistant.contracts.messages import Text, UserMessage
from assistant.store import (
    api_keys,
    attachments,
    browsers,
    changes,
    channels,
    forgetting,
    history,
    idempotency,
    inbox,
    jobs,
    learned,
    ledger,
    limits,
    links,
    memories,
    migrations,
    outbox_reports,
    outbox_rows,
    people,
    places,
    reaching,
    responses,
    search,
    search_vectors,
    session_rows,
    sessions,
    shared,
    spaces,
    summaries,
    tables,
    taking_back,
    titles,
)
from assistant.store.database import SqlRow, Transaction
from assistant.store.migrate import configuration, newest_revision, snapshot, upgrade
from assistant.store.store import HEAD
from tests.postgres import new_database

from .conftest import Opener
from .said import answer, turn
from .sent import claimed, event

pytestmark = pytest.mark.usefixtures("empty")
ROOT = Path(__file__).parents[3]
REVISIONS = [script.revision for script in ScriptDirectory.from_config(configuration()).walk_revisions()]
LISTS = [
    *[sessions.sessions_of(everybody=everybody, before=before) for everybody in (True, False) for before in (True, False)],
    *[sessions.sessions_of(everybody=everybody, before=True, among=many) for everybody in (True, False) for many in (0, 2)],
    *[outbox_rows.deliveries_of(owner=asked, state=asked, channel=asked, before=asked) for asked in (True, False)],
    outbox_rows.next_yielding(2),
    *[memories.memories_of(everybody=asked, history=asked, before=not asked) for asked in (True, False)],
    *[attachments.files_of(purpose=asked, after=asked, oldest_first=first) for asked in (True, False) for first in (True, False)],
    *[ledger.usage_by(by, everyone=asked) for by in get_args(GroupBy) for asked in (True, False)],
    *[ledger.used_of(kind) for kind in ("all", "person", "key", "agent", "cause")],
    *[jobs.jobs_of(everybody=asked, before=not asked) for asked in (True, False)],
    *(*spaces.RENAME, *spaces.OWN, *spaces.AT_WORK, *spaces.DIGESTS_IN, *spaces.DELETE, *people.FORGET),
]
STATEMENTS = LISTS + [
    value
    for module in (
        sessions,
        session_rows,
        taking_back,
        attachments,
        outbox_rows,
        outbox_reports,
        inbox,
        channels,
        jobs,
        api_keys,
        browsers,
        changes,
        titles,
        ledger,
        limits,
        idempotency,
        responses,
        people,
        reaching,
        links,
        spaces,
        memories,
        forgetting,
        learned,
        search,
        search_vectors,
        history,
        summaries,
        places,
        shared,
    )
    for name, value in vars(module).items()
    if isinstance(value, str) and name.isupper() and re.match(r"\s*(SELECT|INSERT|UPDATE|DELETE|WITH)\b", value)
]
OF_FEW_ROWS = {
    "PRIMARY",
    "outbox_by_id",
    "outbox_in_line",
    "outbox_lines",
    "outbox_yielding",
    "outbox_yielding_by_lane",
    "outbox_sending",
    "outbox_expiring",
    "outbox_parts_by_receipt",
    "outbox_to_follow",
}
"""The indexes of the outbox that find one row, or hold only those that are at work."""
AT_WORK = [
    outbox_rows.first_in_lines(2),
    outbox_rows.YIELDING_DUE,
    outbox_rows.next_yielding(2),
    outbox_rows.LANE_IS_SENDING,
    outbox_rows.FALL_IN_LINE,
    outbox_rows.ALL_FALL_IN_LINE,
    outbox_rows.FIRST_IN_LINE,
    outbox_rows.EXPIRE_IN_LINE,
    outbox_rows.NEXT_IN_LANE,
    outbox_rows.TAKE,
    outbox_rows.RENEW,
    outbox_rows.CLAIMED,
    outbox_rows.SETTLE,
    outbox_rows.SENDERS,
    outbox_rows.PUT_BACK,
    outbox_rows.EXPIRE_ALL,
    outbox_reports.REPORTED,
    outbox_reports.UNDELIVERED,
    reaching.TO_FOLLOW,
]
OF_REVISION_0018 = [
    "INSERT INTO pairings (channel, sender_id, sender_name, chat_id, created) VALUES ('discord', '7', 'Anna', '77', 5)",
    "INSERT INTO pairings (channel, sender_id, sender_name, chat_id, code, created, expires) VALUES ('discord', '8', 'X', '77', 'ABC', 5, 6)",
    *[
        f"INSERT INTO chats (channel, chat_id, external_id, at) VALUES ('{channel}', '{chat}', '1', {at})"
        for channel, chat, at in (("telegram", "42", 1), ("discord", "77", 2), ("telegram", "-100", 3), ("telegram", "43", 4))
    ],
    *[
        f"INSERT INTO identities (identity, person, source, created) VALUES ('{identity}', '{person}', 'seen', {at})"
        for at, (identity, person) in enumerate((("telegram:42", "anna"), ("discord:7", "anna"), ("telegram:43", "telegram:43")))
    ],
    "INSERT INTO people (id, name, role, created) VALUES ('anna', 'Anna', 'user', 1)",
]
SCHEMA = {
    "sqlite": "SELECT type, name, replace(replace(replace(replace(sql, char(9), ''), char(10), ''), ' ', ''), '\"', '')"
    " FROM sqlite_master ORDER BY 1, 2",
    "postgresql": "SELECT table_name, column_name, data_type, is_nullable, column_default FROM information_schema.columns"
    " WHERE table_schema = 'public' UNION ALL SELECT tablename, indexname, indexdef, '', '' FROM pg_indexes WHERE schemaname = 'public'"
    " UNION ALL SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid), '', '' FROM pg_constraint WHERE contype IN ('f', 'p')"
    " AND connamespace = 'public'::regnamespace ORDER BY 1, 2, 3",
}


OF_REVISION_0001 = [
    "INSERT INTO sessions (owner, key, created, updated, messages, context_from, prompt_tokens, completion_tokens, cached_tokens)"
    " VALUES ('anna', 'api:one', 1, 2, 1, 1, 0, 0, 0)",
    "INSERT INTO messages (session_id, seq, turn_id, at, role, payload) VALUES (1, 1, 'turn_1', 1, 'user',"
    """ '{"id":"msg_1","parts":[{"text":"from before","kind":"text"}],"role":"user"}')""",
    "INSERT INTO turns (id, session_id, state, runner, started) VALUES ('turn_1', 1, 'running', 'run_old', 1)",
]


OF_REVISION_0009 = [
    "INSERT INTO pairings (channel, sender_id, sender_name, chat_id, created) VALUES ('telegram', '43', 'Bert', '43', 5)",
    "INSERT INTO pairings (channel, sender_id, sender_name, chat_id, code, created, expires) VALUES ('telegram', '44', 'X', '44', 'ABC', 5, 6)",
    "INSERT INTO api_keys (id, name, prefix, digest, scopes, created) VALUES ('unused', 'build', 'nbk_', 'd', '[\"chat\"]', 3)",
    "INSERT INTO inbox (id, channel, external_id, owner, session, role, state, at, crashes, payload)"
    """ VALUES ('inb_1', 'other', '1', 'other:g', 'other:g', 'user', 'answered', 1, 0, '{"private":false}')""",
]


def differences(url: str) -> list[object]:
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg") if url.startswith("postgresql") else url)
    with engine.connect() as connection:
        found = compare_metadata(MigrationContext.configure(connection), tables.SQLModel.metadata)
    engine.dispose()
    return list(found)


def schema_of(url: str) -> list[tuple[object, ...]]:
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg") if url.startswith("postgresql") else url)
    with engine.connect() as connection:
        found = [tuple(row) for row in connection.execute(text(SCHEMA[engine.dialect.name].replace("::", "\\:\\:")))]
    engine.dispose()
    return found


def test_the_head_that_the_start_compares_with_is_the_newest_revision() -> None:
    assert newest_revision() == HEAD


def test_the_tables_are_what_the_migrations_make(url: str) -> None:
    upgrade(url)
    assert differences(url) == []


async def test_a_new_store_is_what_the_migrations_make(
    open_again: Opener, url: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    await (await open_again()).close()
    assert differences(url) == []
    made_at_once = schema_of(url)
    sqlite = f"sqlite:///{tmp_path / 'migrated.db'}"
    migrated = sqlite if url.startswith("sqlite") else new_database(request.getfixturevalue("postgres_server"))
    upgrade(migrated)
    assert made_at_once == schema_of(migrated)


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
def test_the_snapshots_are_written_from_the_tables(dialect: str) -> None:
    path = Path(inspect.getfile(migrations)).parent / f"{dialect}.sql"
    assert path.read_text(encoding="utf-8") == snapshot(dialect), "run python -m assistant.store.migrate --snapshot"


@pytest.mark.parametrize("revision", [REVISIONS[-1], REVISIONS[1], REVISIONS[0], "none"])
async def test_a_store_of_an_older_revision_is_migrated_at_start(open_again: Opener, url: str, revision: str) -> None:
    """(test_upgrades.py does it from every revision, without the process that a start has for it.)"""
    if revision == "none":
        bare(url)
    else:
        upgrade(url, revision)
    store = await open_again()
    await store.sessions.begin_turn(turn("turn_1", "hello"), None)
    assert await store.database.read(version) == HEAD


async def test_a_migration_keeps_what_was_stored(open_again: Opener, url: str) -> None:
    upgrade(url, "0001")
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg") if url.startswith("postgresql") else url)
    with engine.begin() as connection:
        for statement in OF_REVISION_0001:
            connection.exec_driver_sql(statement)
    engine.dispose()
    store = await open_again()
    (kept,) = await store.sessions.messages("anna", "api:one")
    assert kept.message == UserMessage(id="msg_1", parts=(Text(text="from before"),))
    (listed,) = await store.sessions.list("anna")
    assert listed.title == "from before"
    assert await store.sessions.resume_turn("turn_1", None) is not None
    assert await store.sessions.end_turn("turn_1", "finished", [answer("and now")], outbound=[event("new")]) == 2
    assert (await claimed(store)).event.text == "new"


async def test_owners_of_an_older_store_become_people(open_again: Opener, url: str) -> None:
    upgrade(url, "0009")
    sessions_of = {
        "local": "api:one",
        "key:1": "api:two",
        "telegram:42": "telegram:42",
        "telegram:-100": "telegram:-100",
        "discord:7": "discord:77",
        "discord:900": "discord:900:1",
        "supabase:u": "api:x",
        "once": "once:1",
    }
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg") if url.startswith("postgresql") else url)
    with engine.begin() as connection:
        for owner, key in sessions_of.items():
            connection.exec_driver_sql(OF_REVISION_0001[0].replace("'anna'", f"'{owner}'").replace("'api:one'", f"'{key}'"))
        for statement in OF_REVISION_0009:
            connection.exec_driver_sql(statement)
    engine.dispose()
    store = await open_again()
    found = {person.id: person for person in await store.people.list()}
    assert set(found) == {"local", "key:1", "key:unused", "telegram:42", "telegram:43", "discord:7", "supabase:u"}
    assert (found["local"].role, found["telegram:42"].role) == ("owner", "user")
    assert (found["key:unused"].name, found["telegram:43"].name) == ("build", "Bert")
    for id, person in found.items():
        assert person.identities == (id,)
    for owner, key in sessions_of.items():
        assert await store.sessions.get(owner, key) is not None


async def test_private_chats_of_an_older_store_are_known_by_their_people(open_again: Opener, url: str) -> None:
    upgrade(url, "0018")
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg") if url.startswith("postgresql") else url)
    with engine.begin() as connection:
        for statement in OF_REVISION_0018:
            connection.exec_driver_sql(statement)
    engine.dispose()
    store = await open_again()
    for person, chats in {"anna": ["discord:77", "telegram:42", "discord:7"], "telegram:43": ["telegram:43"]}.items():
        assert [str(address) for address in await store.people.chats(person)] == chats


async def test_a_store_of_a_newer_version_is_refused_in_words(open_again: Opener, url: str) -> None:
    store = await open_again()
    await store.database.write(lambda connection: connection.execute("UPDATE alembic_version SET version_num = '9999'"))
    await store.close()
    with pytest.raises(StoreUnavailable, match="newer version"):
        await open_again()


async def test_every_statement_fits_the_schema(open_again: Opener) -> None:
    store = await open_again()
    assert len(STATEMENTS) > 120
    for statement in STATEMENTS:
        params = dict.fromkeys(re.findall(r":(\w+)", statement))
        assert await store.database.write(partial(explain, statement, params)), statement


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
async def test_claims_look_at_nothing_that_is_done(open_again: Opener) -> None:
    store = await open_again()
    for statement in AT_WORK:
        params = dict.fromkeys(re.findall(r":(\w+)", statement))
        plan = await store.database.read(partial(explain, f"QUERY PLAN {statement}", params))
        indexes = re.findall(r"(?:SCAN|SEARCH) outbox\b(?: USING (?:COVERING )?(?:INDEX (\w+)|INTEGER (PRIMARY) KEY))?", str(plan))
        assert indexes
        assert {"".join(found) for found in indexes} <= OF_FEW_ROWS, (statement, plan)


def test_starting_loads_no_migration_tools() -> None:
    code = "import assistant.store.store, sys; print(*{'sqlalchemy', 'sqlmodel', 'alembic', 'psycopg'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.strip() == ""


def explain(statement: str, params: dict[str, None], connection: Transaction) -> list[SqlRow]:
    return connection.execute(f"EXPLAIN {statement}", params)


def version(connection: Transaction) -> str:
    return connection.execute("SELECT version_num FROM alembic_version")[0][0]


def bare(url: str) -> None:
    """A database that Alembic has looked at and not filled."""
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg") if url.startswith("postgresql") else url)
    with engine.begin() as connection:
        connection.execute(
            text(
                "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
            )
        )
    engine.dispose()
