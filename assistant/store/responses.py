"""Responses and the files that were sent with them. The contract is `assistant.contracts.responses.ResponseStore`."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from pathlib import Path

import orjson

from assistant.contracts.responses import LONGEST_CHAIN, MOST_CHAIN_CHARS, Item, KeptResponse, SentFile
from assistant.store.blobs import ReadingStore
from assistant.store.codec import from_micros, json_column, to_micros, unescape
from assistant.store.codec import json_key as stored_key
from assistant.store.database import Database, SqlRow, SqlValue, Transaction
from assistant.store.runners import Runner

ADD = """
    INSERT INTO responses (id, owner, previous, session, at, state, runner, input, body)
    VALUES (:id, :owner, :previous, :session, :at, 'running', :runner, :input, :body)"""
ADD_FILE = """
    INSERT INTO response_files (id, response, digest, name) VALUES (:id, :response, :digest, :name)"""
FINISH = """
    UPDATE responses SET state = 'ended', body = :body WHERE id = :id AND owner = :owner"""
ONE = """
    SELECT id, previous, session, at, state, runner, input, body FROM responses WHERE id = :id AND owner = :owner"""
CHAIN = """
    WITH RECURSIVE chain (id, previous, size, place) AS (
        SELECT id, previous, length(input) + length(body), 1 FROM responses WHERE id = :id AND owner = :owner
        UNION ALL
        SELECT responses.id, responses.previous, chain.size + length(responses.input) + length(responses.body), chain.place + 1
        FROM responses JOIN chain ON responses.id = chain.previous
        WHERE responses.owner = :owner AND chain.place < :most AND chain.size < :chars
    ) SELECT id FROM chain WHERE place = 1 OR size <= :chars ORDER BY place"""
"""Looks at the length of no more than it needs: each is read whole for that."""
FILE = """
    SELECT response_files.name, response_files.digest FROM response_files JOIN responses ON responses.id = response_files.response
    WHERE response_files.id = :id AND responses.owner = :owner"""
FILES_OF_ONE = """
    SELECT digest FROM response_files JOIN responses ON responses.id = response_files.response
    WHERE responses.id = :id AND responses.owner = :owner"""
REMOVE = """
    DELETE FROM responses WHERE id = :id AND owner = :owner RETURNING id"""
RUNNING_ELSEWHERE = """
    SELECT DISTINCT runner FROM responses WHERE state = 'running' AND runner <> :runner"""
INTERRUPT = """
    UPDATE responses SET state = 'interrupted' WHERE state = 'running' AND runner = :runner RETURNING id"""
RUNNING_HERE = """
    SELECT owner, id FROM responses WHERE state = 'running' AND runner = :runner"""
INTERRUPT_ONE = """
    UPDATE responses SET state = 'interrupted' WHERE id = :id AND owner = :owner AND state = 'running' RETURNING id"""
PURGE = """
    DELETE FROM responses WHERE at < :before RETURNING id"""


class ResponseStore:
    """Responses by (owner, id), kept until they are deleted or purged, and the files that were sent with them as long.

    Every write is durable when the call returns. Raises StoreUnavailable.
    """

    def __init__(self, database: Database, runner: Runner, folder: Path, *, collect: Callable[[Sequence[str]], Awaitable[int]]) -> None:
        """`collect`: removes those of some files that nobody holds any more."""
        self._database = database
        self._runner = runner
        self._files = ReadingStore(folder)
        self._collect = collect
        self._answering: set[tuple[SqlValue, SqlValue]] = set()
        """Owners and ids of those that this process began. One that is not here any more, and not stored as ended, never will be."""

    async def begin(self, owner: str, response: KeptResponse, files: Sequence[SentFile] = ()) -> None:
        """Keep a response that is going to be answered by this process. The uploads stay the caller's."""
        stored_owner, stored_id = stored_key(owner, response.id)
        place = (stored_owner, stored_id)
        values: dict[str, SqlValue] = {
            "id": stored_id,
            "owner": stored_owner,
            "previous": None if response.previous is None else json_column(response.previous),
            "session": None if response.session is None else json_column(response.session),
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
            await self._files.hold(held, lambda: self._database.write(add))
        except BaseException:
            self._answering.discard(place)
            raise

    async def finish(self, owner: str, response_id: str, body: Item) -> None:
        """Keep how it ended. Does nothing where it was deleted meanwhile."""
        values = _place(owner, response_id)
        try:
            values["body"] = await _dumped(body)
            await self._database.write(lambda connection: connection.execute(FINISH, values))
        finally:
            self._answering.discard((values["owner"], values["id"]))

    async def get(self, owner: str, response_id: str) -> KeptResponse | None:
        values = _place(owner, response_id)
        kept = await self._kept(values["owner"], lambda connection: connection.execute(ONE, values))
        return kept[0] if kept else None

    async def chain(self, owner: str, response_id: str) -> Sequence[KeptResponse]:
        """The response and those that it goes on from, the oldest first; as far back as none of them is missing, and no further than
        LONGEST_CHAIN and MOST_CHAIN_CHARS. Empty: there is no such response."""
        values: dict[str, SqlValue] = {**_place(owner, response_id), "most": LONGEST_CHAIN, "chars": MOST_CHAIN_CHARS}

        def look_back(connection: Transaction) -> list[SqlRow]:
            found: list[SqlRow] = []
            for (earlier,) in connection.execute(CHAIN, values):
                found += connection.execute(ONE, {"id": earlier, "owner": values["owner"]})
            return found[::-1]

        return await self._kept(values["owner"], look_back)

    async def file(self, owner: str, file_id: str) -> tuple[str, Path] | None:
        """What a file that was sent is called, and where its bytes lie: to be read, and soon. None: there is no such file."""
        rows = await self._database.read(lambda connection: connection.execute(FILE, _place(owner, file_id)))
        return (unescape(rows[0][0]), self._files.path(rows[0][1])) if rows else None

    async def delete(self, owner: str, response_id: str) -> bool:
        """False: there was none."""
        values = _place(owner, response_id)

        def remove(connection: Transaction) -> tuple[list[SqlRow], list[SqlRow]]:
            return connection.execute(FILES_OF_ONE, values), connection.execute(REMOVE, values)

        try:
            files, removed = await self._database.write(remove)
        finally:
            self._answering.discard((values["owner"], values["id"]))
        await self._collect([digest for (digest,) in files])
        return bool(removed)

    async def recover(self) -> int:
        """Mark those that dead processes were answering as interrupted, and those whose end this one could not store; returns how many."""

        def settle(connection: Transaction) -> int:
            others = [runner for (runner,) in connection.execute(RUNNING_ELSEWHERE, {"runner": self._runner.id})]
            dead = [runner for runner in others if self._runner.is_dead(connection, runner)]
            own = {(owner, left) for owner, left in connection.execute(RUNNING_HERE, {"runner": self._runner.id})} - self._answering
            lost = sum(len(connection.execute(INTERRUPT_ONE, {"owner": owner, "id": left})) for owner, left in own)
            return lost + sum(len(connection.execute(INTERRUPT, {"runner": runner})) for runner in dead)

        return await self._database.write(settle)

    async def purge(self, before: datetime) -> int:
        """The bytes of their files go with the next sweep of the attachments."""
        return len(await self._database.write(lambda connection: connection.execute(PURGE, {"before": to_micros(before)})))

    async def _kept(self, owner: SqlValue, look: Callable[[Transaction], list[SqlRow]]) -> list[KeptResponse]:
        answering = self._answering.copy()  # before the look: what ends meanwhile did not get lost
        rows = await self._database.read(look)
        return await asyncio.to_thread(lambda: [self._decoded(row, owner, answering) for row in rows])

    def _decoded(self, row: SqlRow, owner: SqlValue, answering: set[tuple[SqlValue, SqlValue]]) -> KeptResponse:
        response_id, previous, session, at, state, runner, sent, body = row
        lost = state == "running" and runner == self._runner.id and (owner, response_id) not in answering
        return KeptResponse(
            id=unescape(response_id),
            previous=None if previous is None else unescape(previous),
            session=None if session is None else unescape(session),
            at=from_micros(at),
            state="interrupted" if lost else state,
            input=tuple(orjson.loads(sent)),
            body=orjson.loads(body),
        )


def _place(owner: str, name: str) -> dict[str, SqlValue]:
    stored_owner, stored_id = stored_key(owner, name)
    return {"owner": stored_owner, "id": stored_id}


async def _dumped(value: Item | list[Item]) -> str:
    """JSON, in which NUL is an escape. In a thread: it may have megabytes."""
    return (await asyncio.to_thread(orjson.dumps, value)).decode()
