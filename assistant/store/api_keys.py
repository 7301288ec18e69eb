"""Keys of the API. The contract is `assistant.contracts.access.KeyStore`."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import cast

import orjson

from assistant.contracts.access import ApiKey, HeldKey, Limits, Scope
from assistant.contracts.util import Clock, utc_now
from assistant.store.codec import from_micros, json_column, optional, to_micros, unescape
from assistant.store.database import Database, SqlRow, SqlValue, Transaction
from assistant.store.people import ADD_IDENTITY, ADD_PERSON

# Times are microseconds.
_ADD = """
    INSERT INTO api_keys (id, name, prefix, digest, scopes, models, requests, tokens, parallel, created, expires)
    VALUES (:id, :name, :prefix, :digest, :scopes, :models, :requests, :tokens, :parallel, :created, :expires)"""
_COLUMNS = "id, name, prefix, scopes, models, requests, tokens, parallel, created, expires, last_used, revoked"
_ALL = f"SELECT {_COLUMNS} FROM api_keys ORDER BY created, id"  # noqa: S608 - columns of this module
_HOLDS = "revoked IS NULL AND (expires IS NULL OR expires > :now)"
_PERSON = "(SELECT person FROM identities WHERE identity = 'key:' || api_keys.id)"
_BY_DIGEST = f"SELECT {_COLUMNS}, {_PERSON}, NULL FROM api_keys WHERE digest = :digest AND {_HOLDS}"  # noqa: S608 - as above
_BY_PREVIOUS = f"""
    SELECT {_COLUMNS}, {_PERSON}, previous_until FROM api_keys WHERE previous = :digest AND previous_until > :now AND {_HOLDS}"""  # noqa: S608 - as above
_LIMITS = "SELECT requests, tokens, parallel FROM api_keys WHERE id = :id"
_USED = "UPDATE api_keys SET last_used = :at WHERE id = :id"
_REVOKE = "UPDATE api_keys SET revoked = :now WHERE id = :id AND revoked IS NULL RETURNING id"
_ROTATE = f"""
    UPDATE api_keys SET previous = digest, previous_until = :until, digest = :digest, prefix = :prefix
    WHERE id = :id AND {_HOLDS} RETURNING id"""  # noqa: S608 - as above


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
            "requests": key.limits.named("requests_per_minute"),
            "tokens": key.limits.named("tokens_per_minute"),
            "parallel": key.limits.parallel,
            "created": to_micros(key.created),
            "expires": optional(to_micros, key.expires),
        }
        identity = f"key:{key.id}"
        person: dict[str, SqlValue] = {"id": identity, "identity": identity, "name": values["name"], "role": "user", "source": "cli"}

        def add(connection: Transaction) -> None:
            connection.execute(_ADD, values)
            for statement in (ADD_PERSON, ADD_IDENTITY):
                connection.execute(statement, {**person, "at": values["created"]})

        await self._database.write(add)

    async def find(self, digest: str) -> HeldKey | None:
        row = await self._database.read(lambda connection: self._held(connection, digest))
        if row is None:
            return None
        *own, person, until = row
        key, overlap = _key(tuple(own)), optional(from_micros, until)
        end = min((end for end in (key.expires, overlap) if end is not None), default=None)
        return HeldKey(key=key, person=unescape(person or f"key:{key.id}"), until=end)

    async def holding(self, digests: Collection[str]) -> Mapping[str, str]:
        wanted = tuple(digests)
        rows = await self._database.read(lambda connection: [(digest, self._held(connection, digest)) for digest in wanted])
        return {digest: unescape(row[-2] or f"key:{row[0]}") for digest, row in rows if row is not None}

    async def limits(self, key_id: str) -> Limits | None:
        rows = await self._database.select(_LIMITS, {"id": json_column(key_id)})
        return _limits(*rows[0]) if rows else None

    async def used(self, key_id: str, at: datetime) -> None:
        await self._database.execute(_USED, {"id": key_id, "at": to_micros(at)})

    async def list(self) -> Sequence[ApiKey]:
        return [_key(row) for row in await self._database.select(_ALL)]

    async def revoke(self, key_id: str) -> bool:
        return bool(await self._database.execute(_REVOKE, {"id": json_column(key_id), "now": to_micros(self._clock())}))

    async def rotate(self, key_id: str, *, digest: str, prefix: str, overlap_until: datetime) -> bool:
        values: dict[str, SqlValue] = {
            "id": json_column(key_id),
            "digest": digest,
            "prefix": prefix,
            "until": to_micros(overlap_until),
            "now": to_micros(self._clock()),
        }
        return bool(await self._database.execute(_ROTATE, values))

    def _held(self, connection: Transaction, digest: str) -> SqlRow | None:
        values: dict[str, SqlValue] = {"digest": digest, "now": to_micros(self._clock())}
        rows = connection.execute(_BY_DIGEST, values) or connection.execute(_BY_PREVIOUS, values)
        return rows[0] if rows else None


def _key(row: SqlRow) -> ApiKey:
    key_id, name, prefix, scopes, models, requests, tokens, parallel, created, expires, last_used, revoked = row
    return ApiKey(
        id=key_id,
        name=unescape(name),
        prefix=prefix,
        scopes=frozenset(cast("list[Scope]", orjson.loads(scopes))),
        models=None if models is None else tuple(cast("list[str]", orjson.loads(models))),
        limits=_limits(requests, tokens, parallel),
        created=from_micros(created),
        expires=optional(from_micros, expires),
        last_used=optional(from_micros, last_used),
        revoked=optional(from_micros, revoked),
    )


def _limits(requests: int | None, tokens: int | None, parallel: int | None) -> Limits:
    return Limits.of(requests_per_minute=requests, tokens_per_minute=tokens, parallel=parallel)
