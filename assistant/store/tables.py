"""The tables: the schema's one truth. Alembic compares the migrations with them; nothing imports them at run time.

Times are microseconds since 1970, UTC. Text columns hold no NUL (PostgreSQL takes none): payloads are JSON, names and keys are escaped.
"""

# pyright: reportAssignmentType=false
# SQLAlchemy declares `__tablename__` as a descriptor; a plain string is what SQLModel documents.

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, text
from sqlmodel import Field, SQLModel

_BigId = BigInteger().with_variant(Integer, "sqlite")
_RUNNING = text("state = 'running'")


def _big() -> Column[int]:
    return Column(BigInteger, nullable=False)


def _session_id(*, primary_key: bool = False) -> Column[int]:
    return Column(_BigId, ForeignKey("sessions.id", ondelete="CASCADE"), nullable=False, primary_key=primary_key, autoincrement=False)


class SessionRow(SQLModel, table=True):
    """A conversation. `messages` is the seq of its last message; the id of a deleted session is never used again."""

    __tablename__ = "sessions"
    __table_args__ = (
        Index("sessions_by_owner_and_key", "owner", "key", unique=True),
        Index("sessions_by_updated", "owner", "updated", "id"),
        {"sqlite_autoincrement": True},
    )

    id: int = Field(sa_column=Column(_BigId, primary_key=True, autoincrement=True))
    owner: str
    key: str
    created: int = Field(sa_column=_big())
    updated: int = Field(sa_column=_big())
    messages: int
    context_from: int
    """The first seq that the model sees."""
    prompt_tokens: int = Field(sa_column=_big())
    completion_tokens: int = Field(sa_column=_big())
    cached_tokens: int = Field(sa_column=_big())


class MessageRow(SQLModel, table=True):
    """A message, as JSON (see `codec`). Only ever added."""

    __tablename__ = "messages"

    session_id: int = Field(sa_column=_session_id(primary_key=True))
    seq: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    turn_id: str
    at: int = Field(sa_column=_big())
    role: str
    payload: str


class TurnRow(SQLModel, table=True):
    """A turn and how it ended. `runner`: the process that runs it; `error`: the code of what it failed with."""

    __tablename__ = "turns"
    __table_args__ = (
        Index("turns_by_session", "session_id"),
        Index("turns_running", "runner", sqlite_where=_RUNNING, postgresql_where=_RUNNING),
    )

    id: str = Field(primary_key=True)
    session_id: int = Field(sa_column=_session_id())
    state: str
    runner: str
    started: int = Field(sa_column=_big())
    ended: int | None = Field(sa_column=Column(BigInteger, nullable=True))
    error: str | None


class AttachmentRow(SQLModel, table=True):
    """A file that a session holds. The file itself is on the disk, by `digest`. `used`: a message refers to it."""

    __tablename__ = "attachments"
    __table_args__ = (
        Index("attachments_by_session", "owner", "session", "at"),
        Index("attachments_by_digest", "digest"),
    )

    id: str = Field(primary_key=True)
    owner: str
    session: str
    digest: str
    at: int = Field(sa_column=_big())
    used: int
    """1 or 0."""
    size: int = Field(sa_column=_big())
    label: str
    """JSON: {"name", "format", "facts"}."""


class PulseRow(SQLModel, table=True):
    """One row that is written to see that the store can be written."""

    __tablename__ = "pulse"

    id: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    at: int = Field(sa_column=_big())
