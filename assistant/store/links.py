"""How identities come to people: codes, pairings, the configuration, and the owner's word."""

import secrets
from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final, Literal, TypeVar

from assistant.contracts.errors import RateLimited, SessionBusy
from assistant.contracts.inbox import Pairing
from assistant.contracts.people import OWNER_ID, Person, PersonConflict, PersonNotFound, WrongCode
from assistant.contracts.records import record
from assistant.contracts.util import Clock, new_id, utc_now
from assistant.store.channels import approve_code, let_in
from assistant.store.codec import from_micros, json_column, json_key, to_micros, unescape
from assistant.store.database import Database, SqlValue, Transaction
from assistant.store.people import ADD_IDENTITY, ADD_PERSON, PERSON, PERSON_OF, PeopleStore
from assistant.store.spaces import is_at_work, move_space, separate_schedules

CODE_ALPHABET: Final = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"
"""Letters and digits that are not taken for each other. 31 to the power of 8: a code is not guessed while it is valid."""
CODE_LENGTH: Final = 8
CODE_VALID: Final = timedelta(minutes=10)
MOST_WRONG: Final = 10
"""Codes that an identity may enter wrongly in an hour."""
_WINDOW: Final = timedelta(hours=1)
T = TypeVar("T")
Source = Literal["config", "pairing", "code", "cli", "seen"]

OLD_CODES = "DELETE FROM link_codes WHERE expires <= :before OR (person = :person AND used IS NULL)"
EXPIRED_CODES = "DELETE FROM link_codes WHERE expires <= :before"
ADD_CODE = "INSERT INTO link_codes (digest, person, expires) VALUES (:digest, :person, :expires)"
CODE = "SELECT person, expires, used FROM link_codes WHERE digest = :digest"
USE_CODE = "UPDATE link_codes SET used = :now WHERE digest = :digest"
TRIES = "SELECT since, count FROM link_tries WHERE identity = :identity AND since > :after"
COUNT_TRY = """
    INSERT INTO link_tries (identity, since, count) VALUES (:identity, :now, 1)
    ON CONFLICT (identity) DO UPDATE SET
        count = CASE WHEN link_tries.since > :after THEN link_tries.count + 1 ELSE 1 END,
        since = CASE WHEN link_tries.since > :after THEN link_tries.since ELSE excluded.since END"""
OLD_TRIES = "DELETE FROM link_tries WHERE since <= :after"
LINK = "SELECT person, source FROM identities WHERE identity = :identity"
OTHERS = "SELECT 1 FROM identities WHERE person = :person AND identity <> :identity AND identity NOT LIKE 'per/_%' ESCAPE '/'"
SET_LINK = "UPDATE identities SET person = :person, source = :source WHERE identity = :identity"
MOVE_LINKS = "UPDATE identities SET person = :person WHERE person = :other"
INHERIT = """
    UPDATE people SET name = CASE WHEN name = '' THEN (SELECT other.name FROM people AS other WHERE other.id = :other) ELSE name END,
        zone = COALESCE(zone, (SELECT other.zone FROM people AS other WHERE other.id = :other)),
        prefers = COALESCE(prefers, (SELECT other.prefers FROM people AS other WHERE other.id = :other))
    WHERE id = :person AND EXISTS (SELECT 1 FROM people AS other WHERE other.id = :other)"""
REMOVE_PERSON = "DELETE FROM people WHERE id = :other"
REMOVE_CODES = "DELETE FROM link_codes WHERE person = :other"
CONFIGURED = "SELECT identity FROM identities WHERE person = :person AND source = 'config' AND identity <> :person"
JOINED = """
    SELECT identity, person FROM identities WHERE identity <> person
        AND NOT EXISTS (SELECT 1 FROM people WHERE people.id = identities.identity)"""


@record
class LinkCode:
    """What is entered elsewhere, once."""

    code: str
    expires: datetime


def _digest(code: str) -> str:
    return sha256(code.strip().upper().encode(errors="replace")).hexdigest()


class LinkStore:
    """Joins identities to people. The one who enters a code and the one who gave it share everything from then on.

    Every write is one transaction. Every method may raise StoreUnavailable.
    """

    def __init__(self, database: Database, people: PeopleStore, *, clock: Clock = utc_now) -> None:
        self._database = database
        self._people = people
        self._clock = clock

    async def code(self, person: str) -> LinkCode:
        """A new code of a person, valid for ten minutes; an earlier one ends. Raises PersonNotFound."""
        code = "".join([secrets.choice(CODE_ALPHABET) for _ in range(CODE_LENGTH)])
        now = self._clock()
        made = LinkCode(code=code, expires=from_micros(to_micros(now + CODE_VALID)))
        stored = json_column(person)
        values: dict[str, SqlValue] = {"digest": _digest(code), "person": stored, "expires": to_micros(made.expires)}

        def add(connection: Transaction) -> None:
            self._must_be(connection, stored)
            connection.execute(OLD_CODES, {"person": stored, "before": to_micros(now - _WINDOW)})
            connection.execute(ADD_CODE, values)

        await self._database.write(add)
        return made

    async def enter(self, code: str, identity: str, *, stranger: Pairing | None = None) -> str:
        """Join an identity, with the person that it belonged to, to the person of a code; returns the person's id. Entered again by the same
        identity, a used code does nothing. `stranger`: a sender who is let in with it.

        Raises WrongCode; RateLimited after ten wrong ones in an hour; PersonConflict; SessionBusy where something of the identity's is under way.
        """
        (stored,) = json_key(identity)
        now = self._clock()
        times: dict[str, SqlValue] = {"now": to_micros(now), "after": to_micros(now - _WINDOW)}
        of_code: dict[str, SqlValue] = {"digest": _digest(code)}

        def check(connection: Transaction) -> str | None:
            connection.execute(OLD_TRIES, {"after": times["after"]})
            tries = connection.execute(TRIES, {"identity": stored, "after": times["after"]})
            if tries and tries[0][1] >= MOST_WRONG:
                wait = (tries[0][0] - to_micros(now - _WINDOW)) / 1_000_000
                raise RateLimited("Too many wrong codes came from here. Wait an hour, then try again.", retry_after=wait)
            rows = connection.execute(CODE, of_code)
            mine = connection.execute(PERSON_OF, {"identity": stored})
            person, expires, used = rows[0] if rows else (None, 0, None)
            if person is not None and used is not None and mine and mine[0][0] == person:
                return person
            if person is None or used is not None or expires <= to_micros(now):
                connection.execute(COUNT_TRY, {**times, "identity": stored})
                return None
            self._join(connection, stored, person, "code")
            connection.execute(USE_CODE, {**of_code, "now": times["now"]})
            if stranger is not None:
                let_in(connection, stranger)
            return person

        try:
            person = await self._database.write(check)
        finally:
            self._people.changed()
        if person is None:
            raise WrongCode
        return unescape(person)

    async def approve(self, code: str, now: datetime, person: str | None = None) -> Pairing | None:
        """Approve the open pairing with this code (`PairingStore.approve`), and make the sender a person, or join them to one. Raises as `join`."""

        def write(connection: Transaction) -> Pairing | None:
            found = approve_code(connection, code, now)
            if found is not None:
                (identity,) = json_key(f"{found.channel}:{found.sender.id}")
                if person is None:
                    self._people.add(connection, identity, json_column(found.sender.name), "pairing")
                else:
                    self._must_be(connection, json_column(person))
                    self._join(connection, identity, json_column(person), "pairing")
            return found

        return await self._write(write)

    async def join(self, identity: str, person: str, source: Source = "cli") -> None:
        """Join an identity, with the person that it belonged to, to a person. Raises PersonNotFound, PersonConflict, SessionBusy."""
        (stored,) = json_key(identity)

        def write(connection: Transaction) -> None:
            self._must_be(connection, json_column(person))
            self._join(connection, stored, json_column(person), source)

        await self._write(write)

    async def unlink(self, identity: str) -> Person:
        """Separate an identity from its person, as a new person; what is kept stays with the old one, but for what was planned in its
        chats. Raises PersonNotFound, PersonConflict."""
        (stored,) = json_key(identity)

        def write(connection: Transaction) -> str:
            rows = connection.execute(LINK, {"identity": stored})
            if not rows:
                raise PersonNotFound("There is no such identity.")
            person, source = rows[0]
            if stored == OWNER_ID or source == "config":
                raise PersonConflict("The configuration says that this identity is the owner's.")
            if not connection.execute(OTHERS, {"person": person, "identity": stored}):
                raise PersonConflict("It is the only identity of this person: there is nothing to separate it from.")
            return self._separate(connection, stored, person)

        found = await self._people.person(await self._write(write))
        if found is None:
            raise PersonNotFound
        return found

    async def follow(self, owners: Collection[str], channels: Collection[str]) -> None:
        """Let the identities that the configuration names, `owners`, be the owner's, and no others of these channels that it named before."""
        named = {json_column(identity) for identity in owners}

        def write(connection: Transaction) -> None:
            self._people.add(connection, OWNER_ID, "", "config")
            for (identity,) in connection.execute(CONFIGURED, {"person": OWNER_ID}):
                if identity not in named and unescape(identity).partition(":")[0] in channels:
                    self._separate(connection, identity, OWNER_ID)
            for identity in sorted(named):
                rows = connection.execute(LINK, {"identity": identity})
                if rows and rows[0][0] != OWNER_ID and connection.execute(OTHERS, {"person": rows[0][0], "identity": identity}):
                    connection.execute(SET_LINK, {"identity": identity, "person": OWNER_ID, "source": "config"})  # the others are not named
                else:
                    self._merge(connection, identity, OWNER_ID, "config")
                    connection.execute(SET_LINK, {"identity": identity, "person": OWNER_ID, "source": "config"})

        await self._write(write)

    async def settle(self) -> None:
        """Move what was written under the id of a person that had just been joined to another; remove codes and wrong tries that are over."""
        before = to_micros(self._clock() - _WINDOW)

        def write(connection: Transaction) -> None:
            connection.execute(EXPIRED_CODES, {"before": before})
            connection.execute(OLD_TRIES, {"after": before})
            for identity, person in connection.execute(JOINED):
                move_space(connection, identity, person)

        await self._database.write(write)

    async def _write(self, work: Callable[[Transaction], T]) -> T:
        try:
            return await self._database.write(work)
        finally:
            self._people.changed()

    def _must_be(self, connection: Transaction, person: str) -> None:
        if person == OWNER_ID:
            self._people.add(connection, OWNER_ID, "", "config")
        elif not connection.execute(PERSON, {"id": person}):
            raise PersonNotFound

    def _join(self, connection: Transaction, identity: str, person: str, source: Source) -> None:
        rows = connection.execute(LINK, {"identity": identity})
        other = rows[0][0] if rows else identity
        if other == person:
            return
        if other == OWNER_ID or (rows and rows[0][1] == "config"):
            raise PersonConflict(
                "This belongs to the person who runs the server, and can't become another's. Make the code here, and enter it there."
            )
        if is_at_work(connection, other):
            raise SessionBusy("Something of yours is under way. Wait until it is done, or stop it; then enter the code again.")
        self._merge(connection, identity, person, source)

    def _merge(self, connection: Transaction, identity: str, person: str, source: Source) -> None:
        """Give everything of the person of an identity, other identities too, to another person."""
        rows = connection.execute(PERSON_OF, {"identity": identity})
        other = rows[0][0] if rows else identity
        if other == person:
            return
        move_space(connection, other, person)
        connection.execute(INHERIT, {"other": other, "person": person})
        for statement in (REMOVE_PERSON, REMOVE_CODES):
            connection.execute(statement, {"other": other})
        connection.execute(MOVE_LINKS, {"person": person, "other": other})
        now = to_micros(self._clock())
        for name in {identity, other}:
            connection.execute(ADD_IDENTITY, {"identity": name, "id": person, "source": source, "at": now})
        connection.execute(SET_LINK, {"identity": identity, "person": person, "source": source})

    def _separate(self, connection: Transaction, identity: str, person: str) -> str:
        id, now = new_id("per"), to_micros(self._clock())
        connection.execute(ADD_PERSON, {"id": id, "name": "", "role": "user", "at": now})
        connection.execute(SET_LINK, {"identity": identity, "person": id, "source": "cli"})
        separate_schedules(connection, person, id, identity)
        return id
