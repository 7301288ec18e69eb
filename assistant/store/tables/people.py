"""People and their identities."""

# pyright: reportAssignmentType=false
# SQLAlchemy declares `__tablename__` as a descriptor; a plain string is what SQLModel documents.

from sqlalchemy import BigInteger, Index
from sqlmodel import Field, SQLModel


class PersonRow(SQLModel, table=True):
    """A human. Rows in other tables belong to the person by their column `owner`."""

    __tablename__ = "people"

    id: str = Field(primary_key=True)
    name: str
    role: str
    zone: str | None
    """By IANA's name. NULL: the server's."""
    quiet_start: int | None
    """Minutes since midnight."""
    quiet_end: int | None
    created: int = Field(sa_type=BigInteger)
    prefers: str | None
    """Chats, the preferred one first, as a JSON list of addresses."""


class IdentityRow(SQLModel, table=True):
    """Whom a credential or a sender belongs to. The id of a person that was joined to another is one, too: rows that come late follow."""

    __tablename__ = "identities"
    __table_args__ = (Index("identities_by_person", "person"),)

    identity: str = Field(primary_key=True)
    person: str
    source: str
    created: int = Field(sa_type=BigInteger)


class LinkCodeRow(SQLModel, table=True):
    """A code that joins an identity to a person, once. Of the code there is only `digest`."""

    __tablename__ = "link_codes"

    digest: str = Field(primary_key=True)
    person: str
    expires: int = Field(sa_type=BigInteger)
    used: int | None = Field(sa_type=BigInteger)


class LinkTryRow(SQLModel, table=True):
    """The wrong codes that an identity entered since a time."""

    __tablename__ = "link_tries"

    identity: str = Field(primary_key=True)
    since: int = Field(sa_type=BigInteger)
    count: int
