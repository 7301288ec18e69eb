"""The outbox, the inbox, and what channels need kept."""

# pyright: reportAssignmentType=false
# SQLAlchemy declares `__tablename__` as a descriptor; a plain string is what SQLModel documents.

from sqlalchemy import BigInteger, Column, Index, Integer
from sqlmodel import Field, SQLModel

from assistant.store.tables.columns import event_column, seq_column, where


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
        where("outbox_in_line", "lane", "seq", rows="state = 'queued' AND yields = 0"),
        where("outbox_lines", "channel", "lane", rows="state = 'queued' AND yields = 0"),
        where("outbox_yielding", "due", "lane", rows="state = 'queued' AND yields = 1"),
        where("outbox_yielding_by_lane", "lane", "due", rows="state = 'queued' AND yields = 1"),
        where("outbox_sending", "lane", rows="state = 'sending'", unique=True),
        where("outbox_expiring", "expires", rows="state = 'queued'"),
        where("outbox_to_follow", "seq", rows="follows = 1 AND state IN ('failed', 'expired')"),
        {"sqlite_autoincrement": True},
    )

    seq: int = Field(sa_column=seq_column())
    id: str
    channel: str
    lane: str
    owner: str
    state: str
    yields: int
    due: int = Field(sa_type=BigInteger)
    expires: int = Field(sa_type=BigInteger)
    created: int = Field(sa_type=BigInteger)
    ended: int | None = Field(sa_type=BigInteger)
    attempts: int
    held: int
    fence: int
    runner: str | None
    """The process that sends it."""
    lease: int | None = Field(sa_type=BigInteger)
    """Until when it may."""
    trouble_code: str | None
    trouble_words: str | None
    maybe_duplicate: int
    payload: str
    follows: int = Field(sa_column=Column(Integer, nullable=False, server_default="0"))
    """1: it is for a person, and where it fails their next channel follows (`store/reaching.py`)."""


class OutboxPartRow(SQLModel, table=True):
    """A part of an event (`body`: JSON), when it was started and what the platform gave for it."""

    __tablename__ = "outbox_parts"
    __table_args__ = (where("outbox_parts_by_receipt", "receipt_id", rows="receipt_id IS NOT NULL"),)

    event: int = Field(sa_column=event_column())
    place: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    body: str
    started: int | None = Field(sa_type=BigInteger)
    receipt_id: str | None
    receipt_at: int | None = Field(sa_type=BigInteger)
    receipt_notice: str | None
    reached_at: int | None = Field(sa_type=BigInteger)
    """When the platform reported that it had reached its receiver."""
    read_at: int | None = Field(sa_type=BigInteger)


class OutboxMediaRow(SQLModel, table=True):
    """A file that an event refers to. The file itself is on the disk, by `digest`."""

    __tablename__ = "outbox_media"
    __table_args__ = (Index("outbox_media_by_digest", "digest"),)

    event: int = Field(sa_column=event_column())
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
        where("inbox_waiting", "owner", "session", "seq", rows="state = 'waiting'"),
        where("inbox_taken", "owner", "session", rows="state = 'taken'"),
        {"sqlite_autoincrement": True},
    )

    seq: int = Field(sa_column=seq_column())
    id: str
    channel: str
    external_id: str
    owner: str
    session: str
    role: str
    state: str
    at: int = Field(sa_type=BigInteger)
    ended: int | None = Field(sa_type=BigInteger)
    turn: str | None
    runner: str | None
    crashes: int
    preview: str | None
    payload: str


class ChatRow(SQLModel, table=True):
    """A chat from which a sender with access has written, and its last accepted message."""

    __tablename__ = "chats"
    __table_args__ = (Index("chats_by_identity", "identity"),)

    channel: str = Field(primary_key=True)
    chat_id: str = Field(primary_key=True)
    external_id: str
    at: int = Field(sa_type=BigInteger)
    identity: str | None
    """Whose private chat with the assistant it is: "telegram:42". NULL: a group."""


class PairingRow(SQLModel, table=True):
    """A sender who asked for access: with a code until it is approved, without one afterwards."""

    __tablename__ = "pairings"

    channel: str = Field(primary_key=True)
    sender_id: str = Field(primary_key=True)
    sender_name: str
    chat_id: str
    code: str | None
    created: int = Field(sa_type=BigInteger)
    expires: int | None = Field(sa_type=BigInteger)


class ChannelStateRow(SQLModel, table=True):
    """The last state that a process noted of a channel."""

    __tablename__ = "channel_states"

    runner: str = Field(primary_key=True)
    name: str = Field(primary_key=True)
    state: str
    detail: str
    since: int = Field(sa_type=BigInteger)


class ChannelHoldRow(SQLModel, table=True):
    """The process that runs a channel, how often others asked it for a sign of life, and up to which of these it gave one."""

    __tablename__ = "channel_holds"

    channel: str = Field(primary_key=True)
    runner: str
    asked: int = Field(sa_type=BigInteger)
    answered: int = Field(sa_type=BigInteger)


class ChannelNoteRow(SQLModel, table=True):
    """What an adapter keeps over restarts, by a key of its own."""

    __tablename__ = "channel_notes"
    __table_args__ = (Index("channel_notes_by_age", "channel", "at"),)

    channel: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    value: str
    at: int = Field(sa_type=BigInteger)
