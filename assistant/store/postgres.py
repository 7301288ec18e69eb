"""PostgreSQL, by psycopg 3: connections, and the notifier. Imported only where `store.url` asks for it."""

import asyncio
import contextlib
import logging
import os
import re
import selectors
import threading
from collections import deque
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final, Literal

import psycopg

from assistant.contracts.errors import StoreUnavailable
from assistant.store.database import NO_PARAMS, WRITER_LOCK, Database, SqlRow, SqlValue, Transaction
from assistant.store.processes import Received

_CONNECT_SECONDS = 5
# A process that was stopped while it held the writer's lock loses it after 2 s, with its connection; until then others wait, and then say so.
_SETTINGS = "SET synchronous_commit = on; SET lock_timeout = '2s'; SET idle_in_transaction_session_timeout = '2s'"
_RETRY_SECONDS = 2.0
# One writer at a time, as on SQLite: a write sees every write before it, so that no job needs to think of isolation levels or deadlocks. Its
# commit does not wait for the disk, so that the next one, of another process, need not either; its caller does, by `_FLUSHED`.
_BEGIN_WRITE = f"BEGIN; SET LOCAL synchronous_commit = off; SELECT pg_advisory_xact_lock({WRITER_LOCK})"
_BEGIN_BESIDE = "BEGIN; SET LOCAL synchronous_commit = off"
# A transaction of its own, behind the lock: when it is on the disk, all that was committed before it is. It touches no row.
_FLUSHED = "SELECT pg_logical_emit_message(true, 'nanobot', '')"
_BEGIN_READ = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_NAMED = re.compile(r"(?<![:\w]):([a-z_][a-z0-9_]*)|%")


class PostgresEngine:
    """The database at a `postgresql://` address."""

    dialect: Literal["postgresql"] = "postgresql"

    def __init__(self, url: str, *, writer_setup: str = "") -> None:
        """`writer_setup`: a statement that each new writing connection runs first."""
        self._url = url.replace("postgresql+psycopg://", "postgresql://", 1)
        self._writer_setup = writer_setup

    def connect(self, *, writes: bool, beside: bool = False) -> "PostgresLink":
        try:
            raw = psycopg.connect(self._url, autocommit=True, connect_timeout=_CONNECT_SECONDS, application_name="nanobot")
            raw.execute(_SETTINGS)
            if writes and self._writer_setup:
                raw.execute(self._writer_setup.encode())
        except psycopg.Error as error:
            raise _explained(error) from error
        return PostgresLink(raw, _BEGIN_BESIDE if beside else _BEGIN_WRITE if writes else _BEGIN_READ)


class PostgresLink:
    """An open connection to the server. See `DatabaseLink`."""

    dialect: Literal["postgresql"] = "postgresql"

    def __init__(self, raw: psycopg.Connection[SqlRow], begin: str) -> None:
        self._raw = raw
        self._begin = begin
        self._commit = "COMMIT"

    @property
    def lost(self) -> bool:
        return self._raw.closed

    def execute(self, sql: str, params: Mapping[str, SqlValue] = NO_PARAMS) -> list[SqlRow]:
        try:
            cursor = self._raw.execute(_converted(sql), params)
            return cursor.fetchall() if cursor.description else []
        except psycopg.Error as error:
            raise _explained(error) from error

    def begin(self, *, relaxed: bool = False) -> None:
        self._commit = "COMMIT" if relaxed or self._begin == _BEGIN_READ else f"COMMIT; {_FLUSHED}"
        self._plain(self._begin)

    def commit(self) -> None:
        self._plain(self._commit)

    def rollback(self) -> None:
        try:
            self._raw.execute(b"ROLLBACK")
        except psycopg.Error as error:
            raise StoreUnavailable from error

    def scrub(self) -> bool:
        return True  # its own vacuum removes what was deleted

    def close(self) -> None:
        self._raw.close()

    def _plain(self, sql: str) -> None:
        try:
            self._raw.execute(sql.encode())
        except psycopg.Error as error:
            raise _explained(error) from error


@lru_cache(maxsize=512)
def _converted(sql: str) -> bytes:
    """`:name` to psycopg's `%(name)s`, and a plain `%` to `%%`."""
    return _NAMED.sub(lambda found: f"%({found[1]})s" if found[1] else "%%", sql).encode()


def _explained(error: psycopg.Error) -> Exception:
    """StoreUnavailable with the reason if the server is at fault, the error itself if the statement is."""
    if isinstance(error, psycopg.errors.DiskFull):
        return StoreUnavailable("The store can't be written: its disk is full. Nothing was accepted.")
    if isinstance(error, psycopg.errors.ReadOnlySqlTransaction):
        return StoreUnavailable("The store can't be written: its database is read-only. Nothing was accepted.")
    if isinstance(error, psycopg.errors.LockNotAvailable):
        return StoreUnavailable(
            "The store is locked by another process. Nothing was accepted; try again later.", retry_after=_RETRY_SECONDS
        )
    if isinstance(error, psycopg.OperationalError | psycopg.errors.IdleInTransactionSessionTimeout):
        return StoreUnavailable("The store can't be reached: its database does not answer. Try again later.")
    return error


_CHANNEL = "nanobot_outbox"
_AGAIN_SECONDS = (0.2, 1.0, 5.0)
"""Waits before each reconnect; the last one repeats."""
_SEND: Final = "SELECT pg_notify(letter.receiver, letter.words) FROM unnest(%s::text[], %s::text[]) AS letter (receiver, words)"
_MOST_LETTERS: Final = 1_000
"""That wait to be sent; of more, the oldest are lost."""
log = logging.getLogger(__name__)


class PostgresNotifier:
    """Implements Notifier. The payload is the sender's id: a process ignores its own. Letters go to the channel that has the receiver's id as its
    name."""

    def __init__(self, url: str, runner_id: str, database: Database) -> None:
        self._url = url.replace("postgresql+psycopg://", "postgresql://", 1)
        self._runner_id = runner_id
        self._database = database
        self._listeners: list[Callable[[], None]] = []
        self._received: Received | None = None
        self._ear: _Ear | None = None
        self._ringing: asyncio.Task[None] | None = None

    def notify(self) -> None:
        self._call()
        # One that still waits for the writer notifies for this one, too.
        if self._ringing is None or self._ringing.done():
            self._ringing = asyncio.get_running_loop().create_task(self._notify())

    def listen(self, heard: Callable[[], None]) -> None:
        self._listeners.append(heard)
        self._begin()

    def send(self, runner_id: str, letter: bytes) -> None:
        if self._ear is not None:
            self._ear.send(runner_id, letter.decode())

    def receive(self, received: Received) -> None:
        self._received = received
        self._begin()

    def _begin(self) -> None:
        if self._ear is None:
            self._ear = _Ear(self._url, self._runner_id, asyncio.get_running_loop(), self._call, self._take_in)
            self._ear.start()

    def _take_in(self, letter: str) -> None:
        if self._received is not None:
            self._received(letter.encode())

    def announce(self, connection: Transaction) -> None:
        connection.execute(f"SELECT pg_notify('{_CHANNEL}', :runner)", {"runner": self._runner_id})

    def announced(self) -> None:
        self._call()

    async def close(self) -> None:
        self._listeners.clear()
        if self._ear is not None:
            ear, self._ear = self._ear, None
            ear.stop()
            await asyncio.to_thread(ear.join, 2 * _CONNECT_SECONDS)

    async def _notify(self) -> None:
        try:
            await self._database.write(self.announce)
        except StoreUnavailable as error:
            log.warning("notifier.unheard reason=%s", error.code)

    def _call(self) -> None:
        for heard in tuple(self._listeners):
            heard()


class _Ear(threading.Thread):
    """Waits for notifications, reconnecting as needed, and sends letters. After each connect it calls once, for what was missed meanwhile; letters
    that waited for it are lost."""

    def __init__(
        self, url: str, runner_id: str, loop: asyncio.AbstractEventLoop, heard: Callable[[], None], received: Callable[[str], None]
    ) -> None:
        super().__init__(name="store-notifier", daemon=True)
        self._url = url
        self._runner_id = runner_id
        self._loop = loop
        self._heard = heard
        self._received = received
        self._letters: deque[tuple[str, str]] = deque(maxlen=_MOST_LETTERS)
        self._woken_by, self._wakes = os.pipe()
        os.set_blocking(self._wakes, False)
        self._stopped = False

    def stop(self) -> None:
        self._stopped = True
        self._wake()

    def send(self, runner_id: str, letter: str) -> None:
        self._letters.append((runner_id, letter))
        self._wake()

    def run(self) -> None:
        tries = 0
        while not self._stopped:
            try:
                with self._connected() as connection:
                    connection.execute(f"SET synchronous_commit = off; LISTEN {_CHANNEL}; LISTEN {self._runner_id}".encode())
                    tries = 0
                    self._tell(self._heard)
                    while not self._stopped:
                        self._wait(connection.fileno(), None)
                        self._send_waiting(connection)
                        self._take_in(connection)
            except psycopg.Error:
                log.info("notifier.disconnected")
                self._wait(None, _AGAIN_SECONDS[min(tries, len(_AGAIN_SECONDS) - 1)])
                self._letters.clear()
                tries += 1
        for end in self._woken_by, self._wakes:
            os.close(end)

    def _send_waiting(self, connection: psycopg.Connection) -> None:
        letters = [self._letters.popleft() for _ in range(len(self._letters))]
        if letters:
            connection.execute(_SEND, ([to for to, _ in letters], [letter for _, letter in letters]))

    def _take_in(self, connection: psycopg.Connection) -> None:
        rung = False
        for said in list(connection.notifies(timeout=0)):
            if said.channel != _CHANNEL:
                self._tell(self._received, said.payload)
            else:
                rung = rung or said.payload != self._runner_id
        if rung:
            self._tell(self._heard)

    def _connected(self) -> psycopg.Connection:
        # This connection only waits: without probes it would not notice that the server is gone.
        return psycopg.connect(
            self._url,
            autocommit=True,
            connect_timeout=_CONNECT_SECONDS,
            application_name="nanobot",
            keepalives_idle=30,
            keepalives_interval=10,
            keepalives_count=3,
        )

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError):  # it is awake
            os.write(self._wakes, b"!")

    def _wait(self, connection: int | None, seconds: float | None) -> None:
        """Wait for the connection, or for another thread, at most so long."""
        # Not select(), which takes no descriptor above 1023.
        with selectors.DefaultSelector() as selector:
            selector.register(self._woken_by, selectors.EVENT_READ)
            if connection is not None:
                selector.register(connection, selectors.EVENT_READ)
            if any(key.fd == self._woken_by for key, _ in selector.select(seconds)):
                os.read(self._woken_by, 4_096)

    def _tell(self, what: Callable[..., None], *said: str) -> None:
        # The loop is closed only with the whole process.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(what, *said)
