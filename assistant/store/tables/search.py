"""What is searched: see `assistant.store.search`. Terms are numbers (`words`), the same on every database."""

# pyright: reportAssignmentType=false
# SQLAlchemy declares `__tablename__` as a descriptor; a plain string is what SQLModel documents.

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer
from sqlmodel import Field, SQLModel

from assistant.store.tables.columns import BigId, seq_column, session_column, where


class SearchSpaceRow(SQLModel, table=True):
    """What an owner has of one kind: how many entries, with how many terms. `seen`: of sessions changed before it, every message is indexed."""

    __tablename__ = "search_spaces"
    __table_args__ = (Index("search_spaces_by_owner", "owner", "kind", unique=True),)

    id: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=True))
    owner: str
    kind: str
    entries: int
    terms: int = Field(sa_type=BigInteger)
    seen: int = Field(sa_type=BigInteger)


class SearchEntryRow(SQLModel, table=True):
    """A text that can be found: a message, by its session and seq, or by `ref` what another table holds, with its `text`.

    `terms`: its terms in order, 8 bytes each. A message's entry whose session was deleted has no session any more, and is never found.
    """

    __tablename__ = "search_entries"
    __table_args__ = (
        Index("search_entries_by_time", "space", "at"),
        Index("search_entries_by_message", "session_id", "seq", unique=True),
        where("search_entries_by_ref", "space", "ref", rows="ref IS NOT NULL", unique=True),
        where("search_entries_orphaned", "id", rows="session_id IS NULL AND ref IS NULL"),
        {"sqlite_autoincrement": True},
    )

    id: int = Field(sa_column=seq_column())
    space: int
    ref: str | None
    session_id: int | None = Field(sa_column=Column(BigId, ForeignKey("sessions.id", ondelete="SET NULL"), nullable=True))
    seq: int | None
    at: int = Field(sa_type=BigInteger)
    text: str | None
    terms: bytes


class SearchTermRow(SQLModel, table=True):
    """That an entry has a term, and how much it counts there (thousandths; see `search.weights`)."""

    __tablename__ = "search_terms"
    __table_args__ = ({"sqlite_with_rowid": False},)

    space: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    term: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    entry: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    weight: int


class SearchMarkRow(SQLModel, table=True):
    """Up to which message a session is indexed, and in which space."""

    __tablename__ = "search_marks"

    session_id: int = Field(sa_column=session_column(primary_key=True))
    space: int
    seq: int


class SearchVectorRow(SQLModel, table=True):
    """An entry's vector: 32-bit floats of length 1, little-endian, and their signs as bits. `model`: who made it."""

    __tablename__ = "search_vectors"
    __table_args__ = (Index("search_vectors_by_space", "space", "model"),)

    entry: int = Field(
        sa_column=Column(BigId, ForeignKey("search_entries.id", ondelete="CASCADE"), nullable=False, primary_key=True, autoincrement=False)
    )
    space: int
    model: str
    vector: bytes
