"""MCP servers: the tools each one lists, those of them that were approved, and what its authorization server granted.

The first list of a server is approved as it is: the configuration trusts the server. Whatever it changes or adds later is off until a person
approves the difference. A server whose command or URL was changed in the configuration is a new one, and its grant is not used.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Final

import orjson

from assistant.contracts.messages import Json
from assistant.contracts.records import record
from assistant.contracts.util import Clock, utc_now
from assistant.store.codec import encode_json, escape, to_micros, unescape
from assistant.store.database import Database, SqlRow, SqlValue, Transaction

COLUMNS = "SELECT name, origin, listed, approved, offers, revision FROM mcp_servers"
ONE = f"{COLUMNS} WHERE name = :name"
ALL = f"{COLUMNS} ORDER BY name"
REVISIONS = "SELECT name, revision FROM mcp_servers"
SAW = """
    INSERT INTO mcp_servers (name, origin, listed, approved, offers, revision, at)
    VALUES (:name, :origin, :listed, :approved, :offers, 1, :at)
    ON CONFLICT (name) DO UPDATE SET origin = excluded.origin, listed = excluded.listed, approved = excluded.approved, offers = excluded.offers,
        at = excluded.at, revision = mcp_servers.revision + 1"""
SEEN_AGAIN = "UPDATE mcp_servers SET at = :at WHERE name = :name"
APPROVE = """
    UPDATE mcp_servers SET approved = listed, revision = revision + 1 WHERE name = :name AND revision = :revision RETURNING revision"""
TELL = "UPDATE mcp_servers SET revision = revision + 1 WHERE name = :name"
GRANT = "SELECT grant_json FROM mcp_grants WHERE name = :name AND url = :url"
GRANTED = "SELECT name, url FROM mcp_grants"
KEEP_GRANT = """
    INSERT INTO mcp_grants (name, url, grant_json, claim, until) VALUES (:name, :url, :grant, '', 0)
    ON CONFLICT (name) DO UPDATE SET url = excluded.url, grant_json = excluded.grant_json, claim = '', until = 0"""
RENEWED = (
    "UPDATE mcp_grants SET grant_json = :grant, claim = '', until = 0 WHERE name = :name AND url = :url AND claim = :claim RETURNING name"
)
CLAIM = """
    UPDATE mcp_grants SET claim = :claim, until = :until WHERE name = :name AND url = :url AND (claim = '' OR until < :now)
    RETURNING grant_json"""
LET_GO = "UPDATE mcp_grants SET claim = '', until = 0 WHERE name = :name AND claim = :claim"
DROP_GRANT = "DELETE FROM mcp_grants WHERE name = :name RETURNING name"
CLAIM_LASTS: Final = timedelta(seconds=45)


@record
class RemoteTool:
    """A tool as its server describes it. `digest`: of all that the model and the gate go by."""

    name: str
    description: str
    parameters: Mapping[str, Json]
    reads_only: bool
    digest: str


@record
class KnownServer:
    """A server as it was seen last."""

    name: str
    origin: str
    listed: tuple[RemoteTool, ...]
    """In the server's order."""
    approved: Mapping[str, RemoteTool]
    offers: tuple[str, ...]
    """"resources", "prompts"."""
    revision: int

    @property
    def on(self) -> tuple[RemoteTool, ...]:
        """The tools that may be used: listed as they were approved."""
        return tuple([tool for tool in self.listed if (known := self.approved.get(tool.name)) and known.digest == tool.digest])

    @property
    def off(self) -> tuple[RemoteTool, ...]:
        """Those that are new or changed."""
        return tuple([tool for tool in self.listed if tool not in self.on])


@record
class Grant:
    """What an authorization server granted, and where it is renewed."""

    token_endpoint: str
    client_id: str
    client_secret: str | None
    auth_method: str
    """"none", "client_secret_post", "client_secret_basic"."""
    access_token: str
    refresh_token: str | None
    expires_at: float | None
    """Seconds since 1970; None: not said."""
    scope: str | None
    resource: str
    refused: str = ""
    """Why the authorization server does not renew it any more; empty: it may. A login makes a new one."""


class McpStore:
    """Raises StoreUnavailable. `url`, with grants: the server's; a grant of another URL is none."""

    def __init__(self, database: Database, *, clock: Clock = utc_now) -> None:
        self._database = database
        self._clock = clock

    async def revisions(self) -> Mapping[str, int]:
        """Of each server that was ever seen, by name."""
        return {unescape(name): revision for name, revision in await self._database.select(REVISIONS, {})}

    async def all(self) -> Sequence[KnownServer]:
        return [_known(row) for row in await self._database.select(ALL, {})]

    async def saw(self, name: str, origin: str, listed: Sequence[RemoteTool], offers: Sequence[str]) -> KnownServer:
        """Note what a server lists now."""
        values: dict[str, SqlValue] = {"name": escape(name), "origin": origin, "at": to_micros(self._clock())}

        def note(connection: Transaction) -> KnownServer:
            rows = connection.execute(ONE, {"name": values["name"]})
            known = _known(rows[0]) if rows else None
            same = known is not None and known.origin == origin
            if known and same and (known.listed, known.offers) == (tuple(listed), tuple(offers)):
                connection.execute(SEEN_AGAIN, {"name": values["name"], "at": values["at"]})
                return known
            approved = [*known.approved.values()] if known and same else listed
            connection.execute(SAW, {**values, "listed": _tools(listed), "approved": _tools(approved), "offers": encode_json(list(offers))})
            return _known(connection.execute(ONE, {"name": values["name"]})[0])

        return await self._database.write(note)

    async def approve(self, known: KnownServer) -> bool:
        """Approve the tools as `known` lists them. False: the server lists others by now, look again."""
        return bool(await self._database.execute(APPROVE, {"name": escape(known.name), "revision": known.revision}))

    async def grant(self, name: str, url: str) -> Grant | None:
        rows = await self._database.select(GRANT, {"name": escape(name), "url": escape(url)})
        return _grant(rows[0][0]) if rows else None

    async def granted(self) -> Mapping[str, str]:
        """The URLs of the servers that there are grants of, by name."""
        return {unescape(name): unescape(url) for name, url in await self._database.select(GRANTED, {})}

    async def keep_grant(self, name: str, url: str, grant: Grant) -> None:
        """Keep what a login brought, in place of an earlier one; running servers use it at once."""
        values: dict[str, SqlValue] = {"name": escape(name), "url": escape(url), "grant": encode_json(asdict(grant))}

        def keep(connection: Transaction) -> None:
            connection.execute(KEEP_GRANT, values)
            connection.execute(TELL, {"name": values["name"]})

        await self._database.write(keep)

    async def drop_grant(self, name: str) -> bool:
        def drop(connection: Transaction) -> bool:
            connection.execute(TELL, {"name": escape(name)})
            return bool(connection.execute(DROP_GRANT, {"name": escape(name)}))

        return await self._database.write(drop)

    async def claim_grant(self, name: str, url: str, claim: str) -> Grant | None:
        """The grant as it is now, to be renewed by this claim alone; None: there is none, or another renews it."""
        now = self._clock()
        values = {"name": escape(name), "url": escape(url), "claim": claim, "now": to_micros(now), "until": to_micros(now + CLAIM_LASTS)}
        rows = await self._database.execute(CLAIM, values)
        return _grant(rows[0][0]) if rows else None

    async def renewed(self, name: str, url: str, claim: str, grant: Grant) -> bool:
        """Keep a grant that this claim renewed, and end the claim. False: the claim had run out."""
        values = {"name": escape(name), "url": escape(url), "claim": claim, "grant": encode_json(asdict(grant))}
        return bool(await self._database.execute(RENEWED, values))

    async def let_go(self, name: str, claim: str) -> None:
        await self._database.execute(LET_GO, {"name": escape(name), "claim": claim})


def _tools(tools: Sequence[RemoteTool]) -> str:
    return orjson.dumps([asdict(tool) for tool in tools]).decode()


def _read_tools(stored: str) -> tuple[RemoteTool, ...]:
    return tuple([RemoteTool(**each) for each in orjson.loads(stored)])


def _known(row: SqlRow) -> KnownServer:
    name, origin, listed, approved, offers, revision = row
    return KnownServer(
        name=unescape(name),
        origin=origin,
        listed=_read_tools(listed),
        approved={tool.name: tool for tool in _read_tools(approved)},
        offers=tuple(orjson.loads(offers)),
        revision=revision,
    )


def _grant(stored: str) -> Grant:
    return Grant(**orjson.loads(stored))
