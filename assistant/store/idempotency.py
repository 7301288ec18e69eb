"""Stored answers by idempotency key, so that a repeated request gets the first one's answer."""

from datetime import datetime
from typing import Literal

import orjson

from assistant.contracts.records import record
from assistant.contracts.util import Clock, utc_now
from assistant.store.codec import json_key, to_micros
from assistant.store.database import Database, SqlValue, Transaction
from assistant.store.processes import Runner


@record
class StoredAnswer:
    """A stored answer. `headers`: those of the answer itself, not of one transmission; names in lower case."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    """Of a stream: all its bytes."""


@record
class IdempotencyClaim:
    """A request's claim to be the first under a key of its owner."""

    id: str
    owner: str
    key: str
    fingerprint: str
    """A hash of the request, in hex: the same for its repeats."""
    expires_at: datetime
    """When the key is free again."""


Claimed = Literal["taken", "running", "other", "interrupted", "not_kept"]
"""taken: the caller is the first, and must call `finish` or `release`. running: another process is answering. other: the key belongs to another
request. interrupted: the answering process died or could not store the answer; it may have acted. not_kept: the answer was too large to be
stored."""

KNOWN = "SELECT fingerprint, state, runner, status, headers, body FROM answers WHERE owner = :owner AND key = :key AND expires > :now"
TAKE = """
    INSERT INTO answers (owner, key, claim, fingerprint, state, runner, expires)
    VALUES (:owner, :key, :claim, :fingerprint, 'running', :runner, :expires)
    ON CONFLICT (owner, key) DO UPDATE SET claim = excluded.claim, fingerprint = excluded.fingerprint, state = excluded.state,
        runner = excluded.runner, expires = excluded.expires, status = NULL, headers = NULL, body = NULL"""
FINISH = """
    UPDATE answers SET state = :state, status = :status, headers = :headers, body = :body
    WHERE owner = :owner AND key = :key AND claim = :claim"""
RELEASE = "DELETE FROM answers WHERE owner = :owner AND key = :key AND claim = :claim"
PURGE = "DELETE FROM answers WHERE expires <= :now RETURNING claim"


class IdempotencyStore:
    """Answers by (owner, key). Writes are durable when the call returns. Every method may raise StoreUnavailable."""

    def __init__(self, database: Database, runner: Runner, *, clock: Clock = utc_now) -> None:
        self._database = database
        self._runner = runner
        self._clock = clock

    async def claim(self, claim: IdempotencyClaim, *, latest: bool = False, anew: bool = False) -> Claimed | StoredAnswer:
        """Claim the key as the first request under it, or return the first one's state or answer.

        `latest`: replace whatever is stored; always "taken". `anew`: replace a first request of the same fingerprint that was interrupted.
        Call it only while this process does not answer the key: its own running claim counts as interrupted.
        """
        values: dict[str, SqlValue] = {
            **_place(claim),
            "fingerprint": claim.fingerprint,
            "runner": self._runner.id,
            "expires": to_micros(claim.expires_at),
            "now": to_micros(self._clock()),
        }

        def take(connection: Transaction) -> Claimed | StoredAnswer:
            found = "taken" if latest else self._known(connection, values)
            if found == "taken" or (anew and found == "interrupted"):
                connection.execute(TAKE, values)
                return "taken"
            return found

        return await self._database.write(take)

    async def finish(self, claim: IdempotencyClaim, answer: StoredAnswer | None) -> None:
        """Store the answer until the claim expires; None: it is too large to be stored. Does nothing if a later claim took the key."""
        values: dict[str, SqlValue] = {"state": "not_kept", "status": None, "headers": None, "body": None}
        if answer is not None:
            # As text: latin-1 maps each byte to a character.
            headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in answer.headers]
            values = {"state": "finished", "status": answer.status, "headers": orjson.dumps(headers).decode(), "body": answer.body}
        await self._database.execute(FINISH, {**_place(claim), **values})

    async def release(self, claim: IdempotencyClaim) -> None:
        """Free the key: the next request under it is the first. Does nothing if a later claim took the key."""
        await self._database.execute(RELEASE, _place(claim))

    async def purge(self, now: datetime) -> int:
        """Remove expired answers; returns how many."""
        return len(await self._database.execute(PURGE, {"now": to_micros(now)}))

    def _known(self, connection: Transaction, values: dict[str, SqlValue]) -> Claimed | StoredAnswer:
        """The state of the first request; "taken": there is none."""
        rows = connection.execute(KNOWN, {name: values[name] for name in ("owner", "key", "now")})
        if not rows:
            return "taken"
        fingerprint, state, runner, status, headers, body = rows[0]
        if fingerprint != values["fingerprint"]:
            return "other"
        if state == "finished":
            as_sent = tuple([(name.encode("latin-1"), value.encode("latin-1")) for name, value in orjson.loads(headers)])
            return StoredAnswer(status=status, headers=as_sent, body=bytes(body))
        if state == "not_kept":
            return "not_kept"
        return "interrupted" if runner == self._runner.id or self._runner.is_dead(connection, runner) else "running"


def _place(claim: IdempotencyClaim) -> dict[str, SqlValue]:
    owner, key = json_key(claim.owner, claim.key)
    return {"owner": owner, "key": key, "claim": claim.id}
