"""People: who an owner is, and whom an identity belongs to. How identities come together: `links`."""

import time
from collections.abc import Callable, Sequence
from datetime import time as clock_time
from typing import Any, Final, TypeVar
from zoneinfo import ZoneInfo

from assistant.contracts.addresses import Address
from assistant.contracts.errors import InvalidRequest
from assistant.contracts.people import OWNER_ID, OWNER_SHOWN, Person, PersonConflict, PersonNotFound, PersonRole, QuietHours
from assistant.contracts.util import Clock, utc_now
from assistant.store.codec import json_column, json_key, optional, to_micros, unescape
from assistant.store.database import Database, SqlRow, SqlValue, Transaction
from assistant.store.reaching import Offers, chats_of, decode_preferred, encode_preferred
from assistant.store.spaces import delete_space, export_space, is_at_work

T = TypeVar("T")
FRESH_SECONDS: Final = 0.5
"""How long an answer of the store is trusted: what another process changes is seen within a second."""
_MOST_KNOWN: Final = 4_096

_COLUMNS = "id, name, role, zone, quiet_start, quiet_end, prefers"
PERSON = f"SELECT {_COLUMNS} FROM people WHERE id = :id"  # noqa: S608 - columns of this module
ALL = f"SELECT {_COLUMNS} FROM people ORDER BY created, id"  # noqa: S608 - as above
PERSON_OF = "SELECT person FROM identities WHERE identity = :identity"
IDENTITIES_OF = "SELECT identity FROM identities WHERE person = :id ORDER BY created, identity"
ADD_PERSON = """
    INSERT INTO people (id, name, role, created) VALUES (:id, :name, :role, :at) ON CONFLICT (id) DO NOTHING"""
ADD_IDENTITY = """
    INSERT INTO identities (identity, person, source, created) VALUES (:identity, :id, :source, :at) ON CONFLICT (identity) DO NOTHING"""
UPDATE = """
    UPDATE people SET name = :name, role = :role, zone = :zone, quiet_start = :quiet_start, quiet_end = :quiet_end, prefers = :prefers
    WHERE id = :id"""
FORGET: Final = (
    "DELETE FROM pairings WHERE channel || ':' || sender_id IN (SELECT identity FROM identities WHERE person = :id)",
    "DELETE FROM answers WHERE owner IN (SELECT identity FROM identities WHERE person = :id)",
    "DELETE FROM limit_uses WHERE owner IN (SELECT identity FROM identities WHERE person = :id)",
    "DELETE FROM link_tries WHERE identity IN (SELECT identity FROM identities WHERE person = :id)",
    "UPDATE api_keys SET revoked = :at WHERE revoked IS NULL AND 'key:' || id IN (SELECT identity FROM identities WHERE person = :id)",
    "DELETE FROM browsers WHERE caller = :id OR caller IN (SELECT identity FROM identities WHERE person = :id)",
    "DELETE FROM link_codes WHERE person = :id",
    "DELETE FROM chats WHERE identity IN (SELECT identity FROM identities WHERE person = :id)",
    "DELETE FROM identities WHERE person = :id AND identity <> :local AND source <> 'config'",
    "DELETE FROM people WHERE id = :id AND id <> :local",
)
FORGET_CHAT = """
    DELETE FROM chats WHERE channel || ':' || chat_id = :session
        OR channel || ':' || chat_id || ':' = substr(:session, 1, length(channel || chat_id) + 2)"""
SESSIONS_OF = "SELECT key FROM sessions WHERE owner = :id"


class PeopleStore:
    """Implements PeopleDirectory. Every method may raise StoreUnavailable."""

    def __init__(self, database: Database, *, zone: ZoneInfo, offers: Offers, clock: Clock = utc_now) -> None:
        """`zone`: the server's. `offers`: which addresses people are reached at."""
        self._database = database
        self._zone = zone
        self._offers = offers
        self._clock = clock
        self._known: dict[str, tuple[float, Person | None]] = {}
        self._belongs: dict[str, tuple[float, str]] = {}

    async def person(self, owner: str) -> Person | None:
        known = self._known.get(owner)
        if known is not None and time.monotonic() - known[0] < FRESH_SECONDS:
            return known[1]
        asked = time.monotonic()
        found = await self._database.read(lambda connection: find_person(connection, json_column(owner), self._zone))
        return _keep(self._known, owner, asked, found)

    async def zone(self, owner: str) -> ZoneInfo:
        person = await self.person(owner)
        return self._zone if person is None else person.zone

    async def of(self, identity: str, name: str = "") -> str:
        """The id of the person that an identity belongs to. One that was never seen becomes a person, called `name`."""
        known = self._belongs.get(identity)
        if known is not None and time.monotonic() - known[0] < FRESH_SECONDS:
            return known[1]
        asked = time.monotonic()
        stored, *_ = json_key(identity)
        rows = await self._database.select(PERSON_OF, {"identity": stored})
        if not rows:
            rows = await self._database.write(lambda connection: self.add(connection, stored, json_column(name), "seen"))
        return _keep(self._belongs, identity, asked, unescape(rows[0][0]))

    def add(self, connection: Transaction, identity: str, name: str, source: str) -> list[SqlRow]:
        """Make a person of an identity (both names as stored), unless it is known; returns whom it belongs to."""
        values: dict[str, SqlValue] = {"id": identity, "identity": identity, "name": name, "source": source}
        values |= {"at": to_micros(self._clock()), "role": "owner" if identity == OWNER_ID else "user"}
        if not connection.execute(PERSON_OF, {"identity": identity}):
            for statement in (ADD_PERSON, ADD_IDENTITY):
                connection.execute(statement, values)
        return connection.execute(PERSON_OF, {"identity": identity})

    def changed(self) -> None:
        """After a write of another part about people: what is remembered may be old."""
        self._known.clear()
        self._belongs.clear()

    async def find(self, wanted: str) -> Person:
        """By id ("owner" is the person who runs the server), by an identity, or by name in any case. Raises PersonNotFound, PersonConflict (several
        have this name)."""
        asked = wanted.strip()
        found = await self.person(OWNER_ID if asked == OWNER_SHOWN else asked)
        if found is not None:
            return found
        named = [person for person in await self.list() if person.name.casefold() == asked.casefold() != ""]
        if not named:
            raise PersonNotFound
        if len(named) > 1:
            raise PersonConflict(f"There are {len(named)} people of this name: give the id of the one you mean.")
        return named[0]

    async def change(
        self,
        id: str,
        *,
        name: str | None = None,
        role: PersonRole | None = None,
        zone: str | None = None,
        quiet: str | None = None,
        prefers: Sequence[Address] | None = None,
    ) -> Person:
        """Set what is not None. `zone`: IANA's name, empty: the server's. `quiet`: "22:00-07:00", empty: none. `prefers`: as `ChannelDirectory.check`
        returned them. Raises PersonNotFound, InvalidRequest, PersonConflict (the owner's role stays)."""
        if role is not None and role != "owner" and id == OWNER_ID:
            raise PersonConflict("The person who runs the server stays its owner.")
        wanted: dict[str, SqlValue] = {}
        if name is not None:
            wanted["name"] = json_column(name)
        if role is not None:
            wanted["role"] = role
        if zone is not None:
            wanted["zone"] = read_zone(zone).key if zone else None
        if quiet is not None:
            wanted["quiet_start"], wanted["quiet_end"] = _minutes(read_quiet(quiet)) if quiet else (None, None)
        if prefers is not None:
            wanted["prefers"] = encode_preferred(prefers)

        def write(connection: Transaction) -> Person:
            stored = json_column(id)
            if id == OWNER_ID:
                self.add(connection, stored, "", "config")
            rows = connection.execute(PERSON, {"id": stored})
            if not rows:
                raise PersonNotFound
            connection.execute(UPDATE, {**dict(zip(_COLUMNS.split(", "), rows[0], strict=True)), **wanted})
            return _person(connection, connection.execute(PERSON, {"id": stored})[0], self._zone)

        return await self._write(write)

    async def chats(self, person: str) -> Sequence[Address]:
        return await self._database.read(lambda connection: chats_of(connection, json_column(person), self._offers))

    async def export(self, id: str) -> dict[str, Any]:
        """Everything of a person, as JSON takes it: by table, sessions with their messages."""
        return await self._database.read(lambda connection: export_space(connection, json_column(id)))

    async def forget(self, id: str) -> list[str]:
        """Delete everything of a person, identities, pairings and the person too (of the owner, only what is theirs); its keys are revoked. Returns
        the digests of files that may have no holder any more. Raises PersonNotFound, PersonConflict where work of this person is under way."""
        stored = json_column(id)

        def write(connection: Transaction) -> list[str]:
            if find_person(connection, stored, self._zone) is None:
                raise PersonNotFound
            if is_at_work(connection, stored):
                raise PersonConflict("Something of this person is under way: stop it, or try again when it is done.")
            for (key,) in connection.execute(SESSIONS_OF, {"id": stored}):
                connection.execute(FORGET_CHAT, {"session": key})
            digests = delete_space(connection, stored)
            for statement in FORGET:
                connection.execute(statement, {"id": stored, "local": OWNER_ID, "at": to_micros(self._clock())})
            return digests

        digests = await self._write(write)
        await self._database.scrub()
        return digests

    async def list(self) -> Sequence[Person]:
        """All of them: the owner first, then in the order in which they came."""

        def read(connection: Transaction) -> list[Person]:
            owner = find_person(connection, OWNER_ID, self._zone)
            rows = [row for row in connection.execute(ALL) if row[0] != OWNER_ID]
            return [*([owner] if owner else []), *[_person(connection, row, self._zone) for row in rows]]

        return await self._database.read(read)

    async def _write(self, work: Callable[[Transaction], T]) -> T:
        try:
            return await self._database.write(work)
        finally:
            self.changed()


def _keep(known: dict[str, tuple[float, T]], name: str, asked: float, found: T) -> T:
    if len(known) >= _MOST_KNOWN:
        known.clear()
    known[name] = asked, found
    return found


def find_person(connection: Transaction, owner: str, server: ZoneInfo) -> Person | None:
    """The person of a space (as stored), or one that it was joined to. `server`: the zone of those who named none."""
    rows = connection.execute(PERSON, {"id": owner})
    if not rows and (now := connection.execute(PERSON_OF, {"identity": owner})):
        rows = connection.execute(PERSON, {"id": now[0][0]})
    if not rows and owner == OWNER_ID:
        rows = [(OWNER_ID, "", "owner", None, None, None, None)]
    return _person(connection, rows[0], server) if rows else None


def _person(connection: Transaction, row: SqlRow, server: ZoneInfo) -> Person:
    id, name, role, zone, start, end, prefers = row
    identities = [identity for (identity,) in connection.execute(IDENTITIES_OF, {"id": id}) if not identity.startswith("per_")]
    return Person(
        id=unescape(id),
        name=unescape(name),
        role=role,
        zone=optional(ZoneInfo, zone) or server,
        zone_chosen=zone is not None,
        quiet=None if start is None or end is None else QuietHours(start=_time(start), end=_time(end)),
        identities=tuple(map(unescape, identities or ([OWNER_ID] if id == OWNER_ID else []))),
        prefers=decode_preferred(prefers),
    )


def _time(minutes: int) -> clock_time:
    return clock_time(minutes // 60, minutes % 60)


def _minutes(quiet: QuietHours) -> tuple[int, int]:
    return quiet.start.hour * 60 + quiet.start.minute, quiet.end.hour * 60 + quiet.end.minute


def read_zone(name: str) -> ZoneInfo:
    """Raises InvalidRequest for what is no zone."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise InvalidRequest(
            f"There is no time zone {name[:64]!r}: give one like Europe/Berlin or America/New_York.", param="zone"
        ) from None


def read_quiet(text: str) -> QuietHours:
    """From "22:00-07:00". Raises InvalidRequest."""
    start, _, end = text.partition("-")
    try:
        quiet = QuietHours(start=clock_time.fromisoformat(start.strip()), end=clock_time.fromisoformat(end.strip()))
    except ValueError:
        raise InvalidRequest("Quiet hours are two times of day: 22:00-07:00.", param="quiet") from None
    return quiet
