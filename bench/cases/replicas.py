"""Turns a second of several servers on one PostgreSQL, beside one, and what a turn takes of each part.

Each commit waits for the disk. The servers, the load, the model and PostgreSQL share this machine's cores, so that several servers can't have more of
them: what they would have elsewhere is shown by giving each server the same small share of a core, whether it is alone or not.
"""

import contextlib
import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psycopg

from assistant.store.database import WRITER_LOCK
from bench.figures import Effort, Figure, Say, at_least
from bench.load import Load, Sessions, apply_load
from bench.measured import Measured
from tests.doubles.live_server import LiveServer, live_server, with_model
from tests.doubles.model_process import running_model
from tests.postgres import new_database, running_postgres
from tests.process_usage import cpu_seconds

_SHARE: Final = 0.3
"""Of a core, that a server has where shares are given."""
_SLICE: Final = 0.01
"""Seconds in which a server may use its share."""
_CONNECTIONS: Final = 16
_LOCK: Final = (
    f"SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND (classid::bigint << 32 | objid::bigint) = {WRITER_LOCK}"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """One run: `turns` in `seconds`, the processor time of all servers and of the database, and the share of the time in which one held the
    writer's lock."""

    turns: int
    failed: int
    seconds: float
    servers: float
    database: float
    locked: float

    @property
    def rate(self) -> float:
        return self.turns / self.seconds


def measure_replicas(count: int, effort: Effort, say: Say) -> Iterator[Figure]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nanobot-bench-")))
        model = stack.enter_context(running_model())
        url = new_database(stack.enter_context(running_postgres(durable=True)))
        config = {**with_model(model.url), "store": {"url": url}}
        servers = [stack.enter_context(live_server(folder / str(number), config=config)) for number in range(count)]
        for share, requests in ((None, effort.requests(2000)), (_SHARE, effort.requests(600))):
            runs: dict[int, list[Ran]] = {1: [], count: []}
            for run in range(effort.runs):
                for many, found in runs.items():
                    say(
                        f"{many} of {count} servers, {f'{share:g} of a core each' if share else 'all cores'}, run {run + 1} of {effort.runs}"
                    )
                    found.append(_run(servers[:many], url, requests, share))
            yield from _figures(runs, f"{share:g} of a core each" if share else "all cores", is_target=share is not None)
        kinds: tuple[tuple[Sessions, str], ...] = (
            ("distinct", "a turn, in a session of its own"),
            ("worker", "a further turn of a session"),
        )
        for sessions, kind in kinds:
            load = Load(url=f"{servers[0].url}/v1", connections=_CONNECTIONS, requests=effort.requests(4000), sessions=sessions)
            before = _size(url)
            apply_load(load)
            for (name, unit), was, now in zip(_SIZES, before, _size(url), strict=True):
                yield Figure(name=f"{name} of {kind}", unit=unit, samples=((now - was) / load.requests,))


_SIZES: Final = (("log (WAL)", "bytes"), ("tables", "bytes"), ("indexes", "bytes"))


def _size(url: str) -> tuple[float, ...]:
    """What a database has of `_SIZES`."""
    tables = "SELECT sum({}(c.oid)) FROM pg_class c WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace"
    asked = (
        "SELECT pg_current_wal_lsn() - '0/0'::pg_lsn",
        tables.format("pg_table_size"),
        tables.format("pg_indexes_size"),
    )
    with psycopg.connect(url, autocommit=True) as connection:
        return tuple([float(connection.execute(each.encode()).fetchall()[0][0]) for each in asked])


def _figures(runs: dict[int, list[Ran]], kind: str, *, is_target: bool) -> Iterator[Figure]:
    (alone, together), many = runs.values(), max(runs)
    for number, found in runs.items():
        failed = sum(run.failed for run in found)
        name = f"{number} server{'s' if number > 1 else ''} on PostgreSQL, {kind}"
        yield Figure(name=name, unit="turns/s", samples=tuple(run.rate for run in found), errors=failed)
    ratio = tuple(two.rate / one.rate for one, two in zip(alone, together, strict=True))
    yield Figure(name=f"{many} servers beside one, {kind}", unit="times", samples=ratio, target=at_least(0.9 * many) if is_target else None)
    costs: tuple[tuple[str, Callable[[Ran], float]], ...] = (
        ("processor time of a turn, server", lambda run: run.servers),
        ("processor time of a turn, PostgreSQL", lambda run: run.database),
        ("the writer's lock, held for a turn", lambda run: run.locked),
    )
    for name, cost in costs:
        for number, found in runs.items():
            samples = tuple([1000 * cost(run) / run.turns for run in found])
            yield Figure(name=f"{name}, {number} of {many}, {kind}", unit="ms", samples=samples)


def _run(servers: Sequence[LiveServer], url: str, requests: int, share: float | None) -> Ran:
    pids = [server.process.pid for server in servers]
    loads = [Load(url=f"{server.url}/v1", connections=_CONNECTIONS, requests=requests, warm_up=_CONNECTIONS) for server in servers]
    with psycopg.connect(url, autocommit=True) as connection, ExitStack() as stack:
        backends = _Backends(connection)
        for pid in pids if share else ():
            stack.enter_context(_limited(pid, share or 1.0))
        before, database = sum(map(cpu_seconds, pids)), backends.seconds()
        with _lock_watched(url) as lock, ThreadPoolExecutor(len(servers)) as threads:
            measured: list[Measured] = list(threads.map(apply_load, loads))
        return Ran(
            turns=sum(load.requests for load in loads),
            failed=sum(each.failed for each in measured),
            seconds=max(each.seconds for each in measured),
            servers=sum(map(cpu_seconds, pids)) - before,
            database=backends.seconds() - database,
            locked=lock.share * max(each.seconds for each in measured),
        )


class _Backends:
    """The processor time of PostgreSQL's processes."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection

    def seconds(self) -> float:
        pids = self._connection.execute("SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()").fetchall()
        return sum(cpu_seconds(pid) for (pid,) in pids)


@dataclass(slots=True)
class _Lock:
    looks: int = 0
    held: int = 0

    @property
    def share(self) -> float:
        return self.held / max(1, self.looks)


@contextmanager
def _lock_watched(url: str) -> Generator[_Lock]:
    """Looked at all the time: whether a server holds the writer's lock."""
    lock, ended = _Lock(), threading.Event()

    def watch() -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            while not ended.wait(0.003):
                lock.held += connection.execute(_LOCK.encode()).fetchall()[0][0]
                lock.looks += 1

    watcher = threading.Thread(target=watch, name="lock-watcher")
    watcher.start()
    try:
        yield lock
    finally:
        ended.set()
        watcher.join()


@contextmanager
def _limited(pid: int, share: float) -> Generator[None]:
    """Let a process have no more than this share of a core, by stopping it. What it does not use is not kept for later."""
    ended = threading.Event()

    def limit() -> None:
        began, used, stopped = time.monotonic(), cpu_seconds(pid), False
        while not ended.wait(_SLICE / 5):
            ahead = cpu_seconds(pid) - used - share * (time.monotonic() - began)
            if (ahead > 0) != stopped:
                stopped = not stopped
                os.kill(pid, signal.SIGSTOP if stopped else signal.SIGCONT)
            elif ahead < -_SLICE:
                began, used = time.monotonic(), cpu_seconds(pid)

    limiter = threading.Thread(target=limit, name="limiter")
    limiter.start()
    try:
        yield
    finally:
        ended.set()
        limiter.join()
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
