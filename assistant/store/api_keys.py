"""Keys of the API. The contract is `assistant.contracts.access.KeyStore`."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import cast

import orjson

from assistant.contracts.access import ApiKey, HeldKey, Limits, Scope
from assistant.contracts.util import Clock, utc_now
from assistant.store import key_statements as sql
from assistant.store.codec import from_micros, json_column, to_micros, unescape
from assistant.store.database import Database, SqlRow, SqlValue, Transaction


class ApiKeys:
    """Implements KeyStore on a Database."""

    def __init__(self, database: Database, *, clock: Clock = utc_now) -> None:
        self._database = database
        self._clock = clock

    async def add(self, key: ApiKey, digest: str) -> None:
        values: dict[str, SqlValue] = {
            "id": key.id,
            "name": json_column(key.name),
            "prefix": key.prefix,
            "digest": digest,
            "scopes": orjson.dumps(sorted(key.scopes)).decode(),
            "models": None if key.models is None else orjson.dumps(key.models).decode(),
            "requests": key.limits.requests,
            "tokens": key.limits.tokens,
            "parallel": key.limits.parallel,
            "created": to_micros(key.created),
            "expires": _micros(key.expires),
        }
        await self._database.write(lambda connection: connection.execute(sql.ADD_KEY, values))

    async def find(self, digest: str) -> HeldKey | None:
        row = await self._database.read(lambda connection: self._held(connection, digest))
        if row is None:
            return None
        key, overlap = _key(row[:-1]), _time(row[-1])
        return HeldKey(key=key, until=min((end for end in (key.expires, overlap) if end is not None), default=None))

    async def holding(self, digests: Collection[str]) -> frozenset[str]:
        wanted = tuple(digests)
        return await self._database.read(
            lambda connection: frozenset(digest for digest in wanted if self._held(connection, digest) is not None)
        )

    async def limits(self, key_id: str) -> Limits | None:
        values: dict[str, SqlValue] = {"id": json_column(key_id)}
        rows = await self._database.read(lambda connection: connection.execute(sql.LIMITS_OF_KEY, values))
        return Limits(requests=rows[0][0], tokens=rows[0][1], parallel=rows[0][2]) if rows else None

    async def used(self, key_id: str, at: datetime) -> None:
        values: dict[str, SqlValue] = {"id": key_id, "at": to_micros(at)}
        await self._database.write(lambda connection: connection.execute(sql.USED_KEY, values))

    async def list(self) -> Sequence[ApiKey]:
        return [_key(row) for row in await self._database.read(lambda connection: connection.execute(sql.KEYS))]

    async def revoke(self, key_id: str) -> bool:
        values: dict[str, SqlValue] = {"id": json_column(key_id), "now": to_micros(self._clock())}
        return bool(await self._database.write(lambda connection: connection.execute(sql.REVOKE_KEY, values)))

    async def rotate(self, key_id: str, *, digest: str, prefix: str, overlap_until: datetime) -> bool:
        values: dict[str, SqlValue] = {
            "id": json_column(key_id),
            "digest": digest,
            "prefix": prefix,
            "until": to_micros(overlap_until),
            "now": to_micros(self._clock()),
        }
        return bool(await self._database.write(lambda connection: connection.execute(sql.ROTATE_KEY, values)))

    def _held(self, connection: Transaction, digest: str) -> SqlRow | None:
        values: dict[str, SqlValue] = {"digest": digest, "now": to_micros(self._clock())}
        rows = connection.execute(sql.KEY_BY_DIGEST, values) or connection.execute(sql.KEY_BY_PREVIOUS, values)
        return rows[0] if rows else None


def _key(row: SqlRow) -> ApiKey:
    key_id, name, prefix, scopes, models, requests, tokens, parallel, created, expires, last_used, revoked = row
    return ApiKey(
        id=key_id,
        name=unescape(name),
        prefix=prefix,
        scopes=frozenset(cast("list[Scope]", orjson.loads(scopes))),
        models=None if models is None else tuple(cast("list[str]", orjson.loads(models))),
        limits=Limits(requests=requests, tokens=tokens, parallel=parallel),
        created=from_micros(created),
        expires=_time(expires),
        last_used=_time(last_used),
        revoked=_time(revoked),
    )


def _micros(at: datetime | None) -> int | None:
    return None if at is None else to_micros(at)


def _time(micros: int | None) -> datetime | None:
    return None if micros is None else from_micros(micros)
