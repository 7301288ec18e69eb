"""The tables: the schema's one truth. Alembic compares the migrations with them; nothing imports them at run time.

Times are microseconds since 1970, UTC. Text columns hold no NUL (PostgreSQL takes none): payloads are JSON, names and keys are escaped.
"""

# pyright: reportAssignmentType=false
# SQLAlchemy declares `__tablename__` as a descriptor; a plain string is what SQLModel documents.

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, TextClause, text
from sqlmodel import Field, SQLModel

_BigId = BigInteger().with_variant(Integer, "sqlite")
_RUNNING = text("state = 'running'")
_QUEUED = text("state = 'queued'")
_IN_LINE = text("state = 'queued' AND yields = 0")
_YIELDING = text("state = 'queued' AND yields = 1")
_SENDING = text("state = 'sending'")
_WAITING = text("state = 'waiting'")
_TAKEN = text("state = 'taken'")


def _big() -> Column[int]:
    return Column(BigInteger, nullable=False)


def _maybe_big() -> Column[int | None]:
    return Column(BigInteger, nullable=True)


def _seq() -> Column[int]:
    return Column(_BigId, primary_key=True, autoincrement=True)


def _where(name: str, *columns: str, rows: TextClause, unique: bool = False) -> Index:
    """An index of the few active rows only."""
    return Index(name, *columns, unique=unique, sqlite_where=rows, postgresql_where=rows)


def _session_id(*, primary_key: bool = False) -> Column[int]:
    return Column(_BigId, ForeignKey("sessions.id", ondelete="CASCADE"), nullable=False, primary_key=primary_key, autoincrement=False)


def _event() -> Column[int]:
    return Column(_BigId, ForeignKey("outbox.seq", ondelete="CASCADE"), nullable=False, primary_key=True, autoincrement=False)


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


class OutboxRow(SQLModel, table=True):
    """An event of the outbox (`payload`: JSON, see `codec`) and its state. Claims touch the partial indexes only.

    `seq` is the order in which events were accepted. `yields`: 1 if those behind it in its lane may pass while it is not due.
    """

    __tablename__ = "outbox"
    __table_args__ = (
        Index("outbox_by_id", "id", unique=True),
        Index("outbox_by_owner", "owner", "seq"),
        Index("outbox_by_channel", "channel", "state", "seq"),
        Index("outbox_ended", "ended"),
        _where("outbox_in_line", "lane", "seq", rows=_IN_LINE),
        _where("outbox_lines", "channel", "lane", rows=_IN_LINE),
        _where("outbox_yielding", "due", "lane", rows=_YIELDING),
        _where("outbox_yielding_by_lane", "lane", "due", rows=_YIELDING),
        _where("outbox_sending", "lane", rows=_SENDING, unique=True),
        _where("outbox_expiring", "expires", rows=_QUEUED),
        {"sqlite_autoincrement": True},
    )

    seq: int = Field(sa_column=_seq())
    id: str
    channel: str
    lane: str
    owner: str
    state: str
    yields: int
    due: int = Field(sa_column=_big())
    expires: int = Field(sa_column=_big())
    created: int = Field(sa_column=_big())
    ended: int | None = Field(sa_column=_maybe_big())
    attempts: int
    held: int
    fence: int
    runner: str | None
    """The process that sends it."""
    lease: int | None = Field(sa_column=_maybe_big())
    """Until when it may."""
    trouble_code: str | None
    trouble_words: str | None
    maybe_duplicate: int
    payload: str


class OutboxPartRow(SQLModel, table=True):
    """A part of an event (`body`: JSON), when it was started and what the platform gave for it."""

    __tablename__ = "outbox_parts"

    event: int = Field(sa_column=_event())
    place: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    body: str
    started: int | None = Field(sa_column=_maybe_big())
    receipt_id: str | None
    receipt_at: int | None = Field(sa_column=_maybe_big())


class OutboxMediaRow(SQLModel, table=True):
    """A file that an event refers to. The file itself is on the disk, by `digest`."""

    __tablename__ = "outbox_media"
    __table_args__ = (Index("outbox_media_by_digest", "digest"),)

    event: int = Field(sa_column=_event())
    digest: str = Field(primary_key=True)


class InboxRow(SQLModel, table=True):
    """An inbound message (`payload`: JSON), and the turn that answers it. `runner`: the process that took it, NULL if it was handed back.

    `crashes`: how often the process died that had taken it.
    """

    __tablename__ = "inbox"
    __table_args__ = (
        Index("inbox_by_external_id", "channel", "external_id", unique=True),
        Index("inbox_by_turn", "turn"),
        Index("inbox_ended", "ended"),
        _where("inbox_waiting", "owner", "session", "seq", rows=_WAITING),
        _where("inbox_taken", "owner", "session", rows=_TAKEN),
        {"sqlite_autoincrement": True},
    )

    seq: int = Field(sa_column=_seq())
    id: str
    channel: str
    external_id: str
    owner: str
    session: str
    role: str
    state: str
    at: int = Field(sa_column=_big())
    ended: int | None = Field(sa_column=_maybe_big())
    turn: str | None
    runner: str | None
    crashes: int
    preview: str | None
    payload: str


class ChatRow(SQLModel, table=True):
    """A chat from which a sender with access has written, and its last accepted message."""

    __tablename__ = "chats"

    channel: str = Field(primary_key=True)
    chat_id: str = Field(primary_key=True)
    external_id: str
    at: int = Field(sa_column=_big())


class PairingRow(SQLModel, table=True):
    """A sender who asked for access: with a code until it is approved, without one afterwards."""

    __tablename__ = "pairings"

    channel: str = Field(primary_key=True)
    sender_id: str = Field(primary_key=True)
    sender_name: str
    chat_id: str
    code: str | None
    created: int = Field(sa_column=_big())
    expires: int | None = Field(sa_column=_maybe_big())


class ChannelStateRow(SQLModel, table=True):
    """The last state that a process noted of a channel."""

    __tablename__ = "channel_states"

    runner: str = Field(primary_key=True)
    name: str = Field(primary_key=True)
    state: str
    detail: str
    since: int = Field(sa_column=_big())
