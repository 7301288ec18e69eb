"""Browsers that are logged in, and links. The contract is `assistant.contracts.access.BrowserStore`."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import cast

import orjson

from assistant.contracts.access import Browser, HeldBrowser, Limits, Scope
from assistant.contracts.util import Clock, utc_now
from assistant.store.codec import from_micros, json_column, optional, to_micros, unescape
from assistant.store.database import Database, SqlRow, SqlValue, Transaction

_COLUMNS = "id, name, caller, scopes, models, created, expires, key, proof, last_used"
_PERSON = "COALESCE((SELECT person FROM identities WHERE identity = browsers.caller), browsers.caller)"
_HOLDS = """
    kind = 'browser' AND expires > :now AND (key IS NULL OR EXISTS (
        SELECT 1 FROM api_keys WHERE api_keys.id = browsers.key AND api_keys.revoked IS NULL
            AND (api_keys.expires IS NULL OR api_keys.expires > :now)
            AND (api_keys.digest = browsers.proof OR (api_keys.previous = browsers.proof AND api_keys.previous_until > :now))))"""
_OF_PERSON = "(caller = :person OR caller IN (SELECT identity FROM identities WHERE person = :person))"
ADD_BROWSER = f"""
    INSERT INTO browsers ({_COLUMNS}, digest, kind)
    VALUES (:id, :name, :caller, :scopes, :models, :created, :expires, :key, :proof, NULL, :digest, :kind)"""  # noqa: S608 - columns of this module
REDEEM_LINK = f"""
    UPDATE browsers SET kind = 'browser', digest = :digest, id = :id, name = :name, created = :now, expires = :expires
    WHERE digest = :link AND kind = 'link' AND expires > :now RETURNING {_COLUMNS}"""  # noqa: S608 - as above
FIND_BROWSER = f"SELECT {_COLUMNS}, {_PERSON} FROM browsers WHERE digest = :digest AND {_HOLDS}"  # noqa: S608 - as above
KEY_LIMITS = "SELECT requests, tokens, parallel FROM api_keys WHERE id = :key"
USED_BROWSER = "UPDATE browsers SET last_used = :at WHERE id = :id"
BROWSERS_OF = f"""
    SELECT {_COLUMNS} FROM browsers WHERE {_OF_PERSON} AND {_HOLDS} ORDER BY COALESCE(last_used, created) DESC, id DESC"""  # noqa: S608 - as above
REMOVE_BROWSER = f"DELETE FROM browsers WHERE id = :id AND kind = 'browser' AND {_OF_PERSON} RETURNING id"  # noqa: S608 - as above
REMOVE_ALL = f"DELETE FROM browsers WHERE {_OF_PERSON} RETURNING kind"  # noqa: S608 - as above
PURGE_BROWSERS = "DELETE FROM browsers WHERE expires <= :now RETURNING id"


class Browsers:
    """Implements BrowserStore on a Database."""

    def __init__(self, database: Database, *, clock: Clock = utc_now) -> None:
        self._database = database
        self._clock = clock

    async def add(self, browser: Browser, digest: str, *, link: bool = False) -> None:
        values: dict[str, SqlValue] = {
            "id": browser.id,
            "name": json_column(browser.name),
            "caller": json_column(browser.caller),
            "scopes": None if browser.scopes is None else orjson.dumps(sorted(browser.scopes)).decode(),
            "models": None if browser.models is None else orjson.dumps(browser.models).decode(),
            "created": to_micros(browser.created),
            "expires": to_micros(browser.expires),
            "key": browser.key,
            "proof": browser.proof,
            "digest": digest,
            "kind": "link" if link else "browser",
        }
        await self._database.execute(ADD_BROWSER, values)

    async def redeem(self, link: str, digest: str, *, id: str, name: str, expires: datetime) -> Browser | None:
        values: dict[str, SqlValue] = {"link": link, "digest": digest, "id": id, "name": json_column(name), "expires": to_micros(expires)}
        rows = await self._database.execute(REDEEM_LINK, {**values, "now": self._now()})
        return _browser(rows[0]) if rows else None

    async def find(self, digest: str) -> HeldBrowser | None:
        def find(connection: Transaction) -> HeldBrowser | None:
            rows = connection.execute(FIND_BROWSER, {"digest": digest, "now": self._now()})
            if not rows:
                return None
            *own, person = rows[0]
            browser = _browser(tuple(own))
            limits = connection.execute(KEY_LIMITS, {"key": browser.key}) if browser.key else []
            return HeldBrowser(browser=browser, person=unescape(person), limits=_limits(limits[0]) if limits else Limits())

        return await self._database.read(find)

    async def holding(self, digests: Collection[str]) -> Mapping[str, str]:
        wanted, now = tuple(digests), self._now()
        rows = await self._database.read(
            lambda connection: [(digest, connection.execute(FIND_BROWSER, {"digest": digest, "now": now})) for digest in wanted]
        )
        return {digest: unescape(found[0][-1]) for digest, found in rows if found}

    async def used(self, id: str, at: datetime) -> None:
        await self._database.execute(USED_BROWSER, {"id": id, "at": to_micros(at)})

    async def list(self, person: str) -> Sequence[Browser]:
        return [_browser(row) for row in await self._database.select(BROWSERS_OF, {"person": json_column(person), "now": self._now()})]

    async def remove(self, person: str, id: str | None = None) -> int:
        values: dict[str, SqlValue] = {"person": json_column(person)}
        if id is not None:
            return len(await self._database.execute(REMOVE_BROWSER, {**values, "id": json_column(id)}))
        return sum(kind == "browser" for (kind,) in await self._database.execute(REMOVE_ALL, values))

    async def purge(self, now: datetime) -> int:
        """Remove what has expired; returns how many."""
        return len(await self._database.execute(PURGE_BROWSERS, {"now": to_micros(now)}))

    def _now(self) -> int:
        return to_micros(self._clock())


def _browser(row: SqlRow) -> Browser:
    id, name, caller, scopes, models, created, expires, key, proof, last_used = row
    return Browser(
        id=id,
        name=unescape(name),
        caller=unescape(caller),
        scopes=None if scopes is None else frozenset(cast("list[Scope]", orjson.loads(scopes))),
        models=None if models is None else tuple(cast("list[str]", orjson.loads(models))),
        created=from_micros(created),
        expires=from_micros(expires),
        key=key,
        proof=proof,
        last_used=optional(from_micros, last_used),
    )


def _limits(row: SqlRow) -> Limits:
    requests, tokens, parallel = row
    return Limits.of(requests_per_minute=requests, tokens_per_minute=tokens, parallel=parallel)
