"""People: who owns what is kept. Everything belongs to a space: a person, or a group chat, which is a space of its own."""

from collections.abc import Sequence
from datetime import time
from typing import Final, Literal, Protocol
from zoneinfo import ZoneInfo

from assistant.contracts.addresses import Address
from assistant.contracts.errors import InvalidRequest, NanobotError, NotFound
from assistant.contracts.outbox import ToPerson
from assistant.contracts.records import record

OWNER_ID: Final = "local"
"""The id of the person who runs the server: the local caller without a key, the configured secrets, and the owners that channels name."""
OWNERS_FILE: Final = "USER.md"
"""The file of the workspace about that person: only their own prompts have it, and only for them it is sent or watched."""
OWNER_SHOWN: Final = "owner"
"""What people see and write for OWNER_ID."""
PersonRole = Literal["owner", "user", "guest"]
"""A guest may talk, and has nothing written to other chats."""


class PersonNotFound(NotFound, code="person_not_found"):
    """There is no such person."""


class WrongCode(InvalidRequest, code="wrong_code"):
    """This code is not valid: it is wrong, has expired or was used."""


class PersonConflict(NanobotError, status=409, type="conflict_error", code="person_conflict"):
    """This can't be done with this person."""


@record
class QuietHours:
    """When nothing but what is urgent is delivered, by the person's own clock; `start` may be later than `end`, over midnight."""

    start: time
    end: time


@record
class Person:
    """A human with identities. `id` is what sessions, memories, schedules and usage belong to (`owner` in requests and rows)."""

    id: str
    name: str
    """For display; empty: unknown."""
    role: PersonRole
    zone: ZoneInfo
    """Of the server, as long as the person has named none."""
    zone_chosen: bool
    quiet: QuietHours | None = None
    identities: tuple[str, ...] = ()
    """`key:<id>`, `telegram:42`, a Supabase subject."""
    prefers: tuple[Address, ...] = ()
    """The chats in which messages to them go first."""


def shown_person(id: str) -> str:
    """A person's id, as it is shown; `OWNER_ID` is "owner"."""
    return OWNER_SHOWN if id == OWNER_ID else id


ME: Final = "me"
"""What senders call themselves."""


_KEYS: Final = frozenset({"key", "supabase"})
"""What the ids of people begin with who came by a key or a token."""


def names_person(to: str, channels: Sequence[str]) -> bool:
    """Whether a receiver is written as a person, and not as a chat: "telegram:42" is one, though a person may have it as their id."""
    head, colon, _ = to.strip().lower().partition(":")
    return head in _KEYS if colon else head != "" and head not in channels


@record
class Addressee:
    """A person to whom something is to be written, and the chat in which it goes first."""

    person: ToPerson
    address: Address
    own: bool
    """It is the sender."""
    preferred: bool
    """They prefer this chat, so it is known."""


class PeopleDirectory(Protocol):
    """What the other parts ask about people. Raises StoreUnavailable."""

    async def person(self, owner: str) -> Person | None:
        """The person whose space this is. None: a group's, or one that was never seen."""
        ...

    async def zone(self, owner: str) -> ZoneInfo:
        """By which clock times in this space are meant: the person's, of a group the server's."""
        ...

    async def find(self, wanted: str) -> Person:
        """By id, identity or name. Raises PersonNotFound, PersonConflict (several have this name)."""
        ...

    async def list(self) -> Sequence[Person]: ...

    async def chats(self, person: str) -> Sequence[Address]:
        """Where a person is reached, the best first: the chats that they prefer, then private ones, the last that they wrote from first. Only
        addresses of enabled channels."""
        ...


class UnknownPeople:
    """A directory without people, all by UTC: for what runs without a store."""

    async def person(self, owner: str) -> Person | None:
        return None

    async def zone(self, owner: str) -> ZoneInfo:
        return ZoneInfo("UTC")

    async def find(self, wanted: str) -> Person:
        raise PersonNotFound

    async def list(self) -> Sequence[Person]:
        return ()

    async def chats(self, person: str) -> Sequence[Address]:
        return ()
