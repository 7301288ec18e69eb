"""Memories, and the profiles made of them."""

# pyright: reportAssignmentType=false
# SQLAlchemy declares `__tablename__` as a descriptor; a plain string is what SQLModel documents.

from sqlalchemy import BigInteger, Index
from sqlmodel import Field, SQLModel

from assistant.store.tables.columns import session_column


class MemoryRow(SQLModel, table=True):
    """A statement of a space. `superseded`: the id of the one that replaced it. `digest`: of its normal form. `seen`, `until`: when it was said,
    and when it ends. `session`, `message`, `seq`: where it came from."""

    __tablename__ = "memories"
    __table_args__ = (
        Index("memories_by_owner", "owner", "number", unique=True),
        Index("memories_by_digest", "owner", "digest"),
        Index("memories_by_subject", "owner", "about"),
    )

    id: str = Field(primary_key=True)
    owner: str
    number: int
    text: str
    kind: str
    provenance: str
    about: str
    digest: str
    session: str | None
    message: str | None
    seq: int
    learned: int
    """1 or 0."""
    seen: int = Field(sa_type=BigInteger)
    until: int | None = Field(sa_type=BigInteger)
    superseded: str | None


class MemoryTombstoneRow(SQLModel, table=True):
    """What a space wants forgotten: the digest of a statement, or of what it was about, and the fingerprint of its words (`statements`)."""

    __tablename__ = "memory_tombstones"

    owner: str = Field(primary_key=True)
    digest: str = Field(primary_key=True)
    words: str
    at: int = Field(sa_type=BigInteger)


class MemoryLearnedRow(SQLModel, table=True):
    """Up to which message a session was searched for memories. `claim`: until when a process does it."""

    __tablename__ = "memory_learned"

    session_id: int = Field(sa_column=session_column(primary_key=True))
    seq: int
    claim: int = Field(sa_type=BigInteger)


class MemoryOwnerRow(SQLModel, table=True):
    """Whether a space is searched for memories (1 or 0); the row of the owner "" is the server's."""

    __tablename__ = "memory_owners"

    owner: str = Field(primary_key=True)
    learn: int


class SessionProfileRow(SQLModel, table=True):
    """What a session's prompts begin with of its owner's memories, as long as its `context_from` is this one."""

    __tablename__ = "session_profiles"

    owner: str = Field(primary_key=True)
    session: str = Field(primary_key=True)
    context_from: int
    text: str
