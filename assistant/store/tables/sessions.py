"""Sessions, their messages, turns, attachments and summaries."""

# pyright: reportAssignmentType=false
# SQLAlchemy declares `__tablename__` as a descriptor; a plain string is what SQLModel documents.

from sqlalchemy import BigInteger, Column, Index, Integer, String
from sqlmodel import Field, SQLModel

from assistant.store.tables.columns import seq_column, session_column, where


class SessionRow(SQLModel, table=True):
    """A conversation. `messages` is the seq of its last message; the id of a deleted session is never used again."""

    __tablename__ = "sessions"
    __table_args__ = (
        Index("sessions_by_owner_and_key", "owner", "key", unique=True),
        Index("sessions_by_updated", "owner", "updated", "id"),
        {"sqlite_autoincrement": True},
    )

    id: int = Field(sa_column=seq_column())
    owner: str
    key: str
    created: int = Field(sa_type=BigInteger)
    updated: int = Field(sa_type=BigInteger)
    messages: int
    context_from: int
    """The first seq that the model sees."""
    prompt_tokens: int = Field(sa_type=BigInteger)
    completion_tokens: int = Field(sa_type=BigInteger)
    cached_tokens: int = Field(sa_type=BigInteger)
    revision: int = Field(sa_column=Column(Integer, nullable=False, server_default="0"))
    """Raised by what changes how the stored messages are shown to the model: a cut, a redaction, a conversation that is started over."""
    read: int = Field(sa_column=Column(Integer, nullable=False, server_default="0"))
    """Whose words the conversation holds since it was started over, a bit each (`codec.encode_provenances`)."""
    title: str | None
    """As the person called it. NULL: after its `opening`."""
    opening: str = Field(sa_column=Column(String, nullable=False, server_default=""))
    """The first words of its first message."""


class MessageRow(SQLModel, table=True):
    """A message, as JSON (see `codec`). Added behind the others, and taken back from the end (see `taking_back`)."""

    __tablename__ = "messages"

    session_id: int = Field(sa_column=session_column(primary_key=True))
    seq: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    turn_id: str
    at: int = Field(sa_type=BigInteger)
    role: str
    payload: str


class TurnRow(SQLModel, table=True):
    """A turn, waiting for one of another process (see `line`), running, or how it ended. `error`: the code of what it failed with."""

    __tablename__ = "turns"
    __table_args__ = (Index("turns_by_session", "session_id"), where("turns_open", "session_id", "started", rows="ended IS NULL"))

    id: str = Field(primary_key=True)
    session_id: int = Field(sa_column=session_column())
    state: str
    runner: str
    started: int = Field(sa_type=BigInteger)
    ended: int | None = Field(sa_type=BigInteger)
    error: str | None
    lease: int | None = Field(sa_type=BigInteger)
    """Until when it has its place if its process gives no further sign."""


class AttachmentRow(SQLModel, table=True):
    """A file that a session holds. The file itself is on the disk, by `digest`. `used`: a message refers to it."""

    __tablename__ = "attachments"
    __table_args__ = (Index("attachments_by_session", "owner", "session", "at"), Index("attachments_by_digest", "digest"))

    id: str = Field(primary_key=True)
    owner: str
    session: str
    digest: str
    at: int = Field(sa_type=BigInteger)
    used: int
    """1 or 0."""
    size: int = Field(sa_type=BigInteger)
    label: str
    """JSON: {"name", "format", "facts"}."""


class SummaryRow(SQLModel, table=True):
    """A cut of a session: the model sees `text` in place of the messages before `seq`, and tool results before `results_from` in one line."""

    __tablename__ = "summaries"

    session_id: int = Field(sa_column=session_column(primary_key=True))
    seq: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    results_from: int
    text: str
    tokens: int
    made_by: str
    at: int = Field(sa_type=BigInteger)


class PulseRow(SQLModel, table=True):
    """One row that is written to see that the store can be written."""

    __tablename__ = "pulse"

    id: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    at: int = Field(sa_type=BigInteger)


class FreezeRow(SQLModel, table=True):
    """One row after a restore, until `nanobot resume`: meanwhile nothing goes out, and nothing that waits is started. A backup leaves it out.

    `id`: the restore's, by which its files are known (`assistant.store.staging`). `made`: when the backup was made.
    """

    __tablename__ = "freezes"

    id: str = Field(primary_key=True)
    made: int = Field(sa_type=BigInteger)
    at: int = Field(sa_type=BigInteger)
