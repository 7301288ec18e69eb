"""Responses of `/v1/responses`, and the files that were sent with them."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final, Literal

import orjson

from assistant.contracts.documents import ReadDocument, ReadImage
from assistant.contracts.messages import Json
from assistant.contracts.records import record
from assistant.contracts.turns import Upload
from assistant.store.codec import from_micros, json_column, json_key, optional, owned, to_micros, unescape
from assistant.store.database import Database, SqlRow, SqlValue, Transaction
from assistant.store.processes import Runner, dead_among
from assistant.store.readings import ReadingStore

ResponseState = Literal["running", "ended", "interrupted"]
Item = dict[str, Json]
"""An item as the API lists it: a message, a function call, its output."""
LONGEST_CHAIN: Final = 1_000
"""The most responses that `chain` returns."""
MOST_CHAIN_CHARS: Final = 32 * 1024 * 1024
"""The most characters of JSON that `chain` returns."""


@record
class KeptResponse:
    """A stored response."""

    id: str
    """`resp_…`"""
    previous: str | None
    """The id of the response that it continues."""
    session: str | None
    """The key of the session that it belongs to, which then holds the conversation; None: it belongs to none."""
    at: datetime
    state: ResponseState = "running"
    """ended: `body` is final. interrupted: the answering process died, or could not store the end."""
    input: tuple[Item, ...]
    body: Item
    """OpenAI's response object, as of its beginning or end."""


@record
class SentFile:
    """A file sent with a response's input, which names it by this id."""

    id: str
    """`file_…`"""
    upload: Upload
    read: ReadDocument | ReadImage


ADD = """
    INSERT INTO responses (id, owner, previous, session, at, state, runner, input, body)
    VALUES (:id, :owner, :previous, :session, :at, 'running', :runner, :input, :body)"""
ADD_FILE = "INSERT INTO response_files (id, response, digest, name) VALUES (:id, :response, :digest, :name)"
FINISH = "UPDATE responses SET state = 'ended', body = :body WHERE id = :id AND owner = :owner"
ONE = "SELECT id, previous, session, at, state, runner, input, body FROM responses WHERE id = :id AND owner = :owner"
CHAIN = """
    WITH RECURSIVE chain (id, previous, size, place) AS (
        SELECT id, previous, length(input) + length(body), 1 FROM responses WHERE id = :id AND owner = :owner
        UNION ALL
        SELECT responses.id, responses.previous, chain.size + length(responses.input) + length(responses.body), chain.place + 1
        FROM responses JOIN chain ON responses.id = chain.previous
        WHERE responses.owner = :owner AND chain.place < :most AND chain.size < :chars
    ) SELECT id FROM chain WHERE place = 1 OR size <= :chars ORDER BY place"""
"""Measures no more rows than it needs: length() reads a column whole."""
FILE = """
    SELECT response_files.name, response_files.digest FROM response_files JOIN responses ON responses.id = response_files.response
    WHERE response_files.id = :id AND responses.owner = :owner"""
FILES_OF_ONE = """
    SELECT digest FROM response_files JOIN responses ON responses.id = response_files.response
    WHERE responses.id = :id AND responses.owner = :owner"""
REMOVE = "DELETE FROM responses WHERE id = :id AND owner = :owner RETURNING id"
RUNNERS = "SELECT DISTINCT runner FROM responses WHERE state = 'running'"
INTERRUPT = "UPDATE responses SET state = 'interrupted' WHERE state = 'running' AND runner = :runner RETURNING id"
RUNNING_HERE = "SELECT owner, id FROM responses WHERE state = 'running' AND runner = :runner"
INTERRUPT_ONE = "UPDATE responses SET state = 'interrupted' WHERE id = :id AND owner = :owner AND state = 'running' RETURNING id"
PURGE = "DELETE FROM responses WHERE at < :before RETURNING id"


class ResponseStore:
    """Responses by (owner, id) and the files that came with them, kept until they are deleted or purged.

    Every write is durable when the call returns. Every method may raise StoreUnavailable.
    """

    def __init__(
        self, database: Database, runner: Runner, files: ReadingStore, *, collect: Callable[[Sequence[str]], Awaitable[int]]
    ) -> None:
        """`collect`: removes those of some files that no row holds any more, by digest."""
        self._database = database
        self._runner = runner
        self._files = files
        self._collect = collect
        self._answering: set[tuple[SqlValue, SqlValue]] = set()
        """(owner, id) of those that this process is answering. One that left this set without a stored end was interrupted."""

    async def begin(self, owner: str, response: KeptResponse, files: Sequence[SentFile] = ()) -> None:
        """Store a response that this process will answer. The uploads stay the caller's."""
        stored_owner, stored_id = json_key(owner, response.id)
        place = (stored_owner, stored_id)
        values: dict[str, SqlValue] = {
            "id": stored_id,
            "owner": stored_owner,
            "previous": optional(json_column, response.previous),
            "session": optional(json_column, response.session),
            "at": to_micros(response.at),
            "runner": self._runner.id,
            "input": await _dumped(list(response.input)),
            "body": await _dumped(response.body),
        }
        rows: list[dict[str, SqlValue]] = [
            {"id": json_column(file.id), "response": stored_id, "digest": file.upload.digest, "name": json_column(file.upload.name)}
            for file in files
        ]

        def add(connection: Transaction) -> None:
            connection.execute(ADD, values)
            for row in rows:
                connection.execute(ADD_FILE, row)

        held = [(file.upload.digest, file.read, file.upload.path) for file in files]
        self._answering.add(place)
        try:
            await self._files.hold(held, add)
        except BaseException:
            self._answering.discard(place)
            raise

    async def finish(self, owner: str, response_id: str, body: Item) -> None:
        """Store the ended response. Does nothing if it was deleted meanwhile."""
        values = owned(owner, response_id)
        try:
            values["body"] = await _dumped(body)
            await self._database.execute(FINISH, values)
        finally:
            self._answering.discard((values["owner"], values["id"]))

    async def get(self, owner: str, response_id: str) -> KeptResponse | None:
        values = owned(owner, response_id)
        kept = await self._kept(values["owner"], lambda connection: connection.execute(ONE, values))
        return kept[0] if kept else None

    async def chain(self, owner: str, response_id: str) -> Sequence[KeptResponse]:
        """The response and its predecessors, the oldest first: back to the first that is missing, LONGEST_CHAIN or MOST_CHAIN_CHARS. Empty if
        there is no such response."""
        values: dict[str, SqlValue] = {**owned(owner, response_id), "most": LONGEST_CHAIN, "chars": MOST_CHAIN_CHARS}

        def look_back(connection: Transaction) -> list[SqlRow]:
            found: list[SqlRow] = []
            for (earlier,) in connection.execute(CHAIN, values):
                found += connection.execute(ONE, {"id": earlier, "owner": values["owner"]})
            return found[::-1]

        return await self._kept(values["owner"], look_back)

    async def file(self, owner: str, file_id: str) -> tuple[str, Path] | None:
        """(name, path) of a sent file; open it soon. None: there is no such file."""
        rows = await self._database.select(FILE, owned(owner, file_id))
        if not rows:
            return None
        await self._files.fetch(rows[0][1])
        return unescape(rows[0][0]), self._files.path(rows[0][1])

    async def delete(self, owner: str, response_id: str) -> bool:
        """Returns False if there is no such response."""
        values = owned(owner, response_id)

        def remove(connection: Transaction) -> tuple[list[SqlRow], list[SqlRow]]:
            return connection.execute(FILES_OF_ONE, values), connection.execute(REMOVE, values)

        try:
            files, removed = await self._database.write(remove)
        finally:
            self._answering.discard((values["owner"], values["id"]))
        await self._collect([digest for (digest,) in files])
        return bool(removed)

    async def recover(self) -> int:
        """Mark as interrupted what dead processes were answering, and responses whose end this process could not store. Returns how many."""

        def settle(connection: Transaction) -> int:
            dead = dead_among(self._runner, connection, [runner for (runner,) in connection.execute(RUNNERS)])
            own = {(owner, left) for owner, left in connection.execute(RUNNING_HERE, {"runner": self._runner.id})} - self._answering
            lost = sum(len(connection.execute(INTERRUPT_ONE, {"owner": owner, "id": left})) for owner, left in own)
            return lost + sum(len(connection.execute(INTERRUPT, {"runner": runner})) for runner in dead)

        return await self._database.write(settle)

    async def purge(self, before: datetime) -> int:
        """Remove responses begun before this time; returns how many. The next sweep of the attachments removes their files."""
        return len(await self._database.execute(PURGE, {"before": to_micros(before)}))

    async def _kept(self, owner: SqlValue, look: Callable[[Transaction], list[SqlRow]]) -> list[KeptResponse]:
        answering = self._answering.copy()  # before the read: a response that ends meanwhile is not interrupted
        rows = await self._database.read(look)
        return await asyncio.to_thread(lambda: [self._decoded(row, owner, answering) for row in rows])

    def _decoded(self, row: SqlRow, owner: SqlValue, answering: set[tuple[SqlValue, SqlValue]]) -> KeptResponse:
        response_id, previous, session, at, state, runner, sent, body = row
        lost = state == "running" and runner == self._runner.id and (owner, response_id) not in answering
        return KeptResponse(
            id=unescape(response_id),
            previous=optional(unescape, previous),
            session=optional(unescape, session),
            at=from_micros(at),
            state="interrupted" if lost else state,
            input=tuple(orjson.loads(sent)),
            body=orjson.loads(body),
        )


async def _dumped(value: Item | list[Item]) -> str:
    """JSON, with NUL escaped. In a thread: it may have megabytes."""
    return (await asyncio.to_thread(orjson.dumps, value)).decode()
