"""The tables: the schema's one truth. Alembic compares the migrations with them; nothing imports them at run time.

Times are microseconds since 1970, UTC. Text columns hold no NUL (PostgreSQL takes none): payloads are JSON, names and keys are escaped.
"""

# pyright: reportAssignmentType=false
# SQLAlchemy declares `__tablename__` as a descriptor; a plain string is what SQLModel documents.

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, text
from sqlmodel import Field, SQLModel

_BigId = BigInteger().with_variant(Integer, "sqlite")


def _seq() -> Column[int]:
    return Column(_BigId, primary_key=True, autoincrement=True)


def _where(name: str, *columns: str, rows: str, unique: bool = False) -> Index:
    """An index of the few active rows only."""
    return Index(name, *columns, unique=unique, sqlite_where=text(rows), postgresql_where=text(rows))


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

    id: int = Field(sa_column=_seq())
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


class MessageRow(SQLModel, table=True):
    """A message, as JSON (see `codec`). Only ever added."""

    __tablename__ = "messages"

    session_id: int = Field(sa_column=_session_id(primary_key=True))
    seq: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    turn_id: str
    at: int = Field(sa_type=BigInteger)
    role: str
    payload: str


class TurnRow(SQLModel, table=True):
    """A turn, waiting for one of another process (see `line`), running, or how it ended. `error`: the code of what it failed with."""

    __tablename__ = "turns"
    __table_args__ = (Index("turns_by_session", "session_id"), _where("turns_open", "session_id", "started", rows="ended IS NULL"))

    id: str = Field(primary_key=True)
    session_id: int = Field(sa_column=_session_id())
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


class PulseRow(SQLModel, table=True):
    """One row that is written to see that the store can be written."""

    __tablename__ = "pulse"

    id: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    at: int = Field(sa_type=BigInteger)


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
        _where("outbox_in_line", "lane", "seq", rows="state = 'queued' AND yields = 0"),
        _where("outbox_lines", "channel", "lane", rows="state = 'queued' AND yields = 0"),
        _where("outbox_yielding", "due", "lane", rows="state = 'queued' AND yields = 1"),
        _where("outbox_yielding_by_lane", "lane", "due", rows="state = 'queued' AND yields = 1"),
        _where("outbox_sending", "lane", rows="state = 'sending'", unique=True),
        _where("outbox_expiring", "expires", rows="state = 'queued'"),
        {"sqlite_autoincrement": True},
    )

    seq: int = Field(sa_column=_seq())
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


class OutboxPartRow(SQLModel, table=True):
    """A part of an event (`body`: JSON), when it was started and what the platform gave for it."""

    __tablename__ = "outbox_parts"

    event: int = Field(sa_column=_event())
    place: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    body: str
    started: int | None = Field(sa_type=BigInteger)
    receipt_id: str | None
    receipt_at: int | None = Field(sa_type=BigInteger)
    receipt_notice: str | None


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
        _where("inbox_waiting", "owner", "session", "seq", rows="state = 'waiting'"),
        _where("inbox_taken", "owner", "session", rows="state = 'taken'"),
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

    channel: str = Field(primary_key=True)
    chat_id: str = Field(primary_key=True)
    external_id: str
    at: int = Field(sa_type=BigInteger)


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


class ApiKeyRow(SQLModel, table=True):
    """A key that opens the API. Of a secret there is only `digest`, the SHA-256 of all of it, in hex."""

    __tablename__ = "api_keys"
    __table_args__ = (Index("api_keys_by_digest", "digest", unique=True), Index("api_keys_by_previous", "previous", unique=True))

    id: str = Field(primary_key=True)
    name: str
    prefix: str
    digest: str
    previous: str | None
    """The secret before the last rotation, as `digest`."""
    previous_until: int | None = Field(sa_type=BigInteger)
    scopes: str
    """JSON: ["chat", …]."""
    models: str | None
    """JSON: ["gpt-*", …]. NULL: all."""
    requests: int | None
    tokens: int | None = Field(sa_type=BigInteger)
    parallel: int | None
    created: int = Field(sa_type=BigInteger)
    expires: int | None = Field(sa_type=BigInteger)
    last_used: int | None = Field(sa_type=BigInteger)
    revoked: int | None = Field(sa_type=BigInteger)


class LimitUseRow(SQLModel, table=True):
    """A request of a principal with limits (`tokens` 0), or tokens it took. Kept for the longest window; with `until`, it runs, until then at
    the latest, and takes a place among `parallel`."""

    __tablename__ = "limit_uses"
    __table_args__ = (
        Index("limit_uses_by_owner", "owner", "at", "tokens"),
        Index("limit_uses_by_time", "at"),
        _where("limit_uses_running", "owner", "until", rows="until IS NOT NULL"),
        {"sqlite_autoincrement": True},
    )

    seq: int = Field(sa_column=_seq())
    owner: str
    at: int = Field(sa_type=BigInteger)
    tokens: int = Field(sa_type=BigInteger)
    runner: str
    until: int | None = Field(sa_type=BigInteger)


class AnswerRow(SQLModel, table=True):
    """The first answer to a request that may come again (`headers`: JSON), or that it is being made. `claim`: who made it; `runner`: where."""

    __tablename__ = "answers"
    __table_args__ = (Index("answers_expiring", "expires"),)

    owner: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    claim: str
    fingerprint: str
    state: str
    runner: str
    expires: int = Field(sa_type=BigInteger)
    status: int | None
    headers: str | None
    body: bytes | None


class FileRow(SQLModel, table=True):
    """A file that its owner may name in requests. The file itself lies with the attachments, by `digest`."""

    __tablename__ = "files"
    __table_args__ = (Index("files_by_owner", "owner", "at", "id"), Index("files_by_digest", "digest"))

    id: str = Field(primary_key=True)
    owner: str
    digest: str
    at: int = Field(sa_type=BigInteger)
    size: int = Field(sa_type=BigInteger)
    name: str
    purpose: str


class ResponseRow(SQLModel, table=True):
    """What was sent to be answered (`input`: JSON) and the response (`body`: JSON). `runner`: the process that answers it, or did."""

    __tablename__ = "responses"
    __table_args__ = (Index("responses_by_at", "at"), _where("responses_running", "runner", rows="state = 'running'"))

    id: str = Field(primary_key=True)
    owner: str
    previous: str | None
    session: str | None
    at: int = Field(sa_type=BigInteger)
    state: str
    runner: str
    input: str
    body: str


class ResponseFileRow(SQLModel, table=True):
    """A file that was sent with a response's input. The file itself lies with the attachments, by `digest`."""

    __tablename__ = "response_files"
    __table_args__ = (Index("response_files_by_response", "response"), Index("response_files_by_digest", "digest"))

    id: str = Field(primary_key=True)
    response: str = Field(foreign_key="responses.id", ondelete="CASCADE")
    digest: str
    name: str


class JobRow(SQLModel, table=True):
    """A run of a workflow. `payload`: JSON, what it was started with; `results`: JSON, its outputs. `runner`: the process that holds it, NULL when
    none does. `cancel`: 1 when it is to be cancelled."""

    __tablename__ = "jobs"
    __table_args__ = (
        Index("jobs_by_owner", "owner", "id"),
        Index("jobs_ended", "ended"),
        _where("jobs_at_work", "runner", rows="ended IS NULL"),
    )

    id: str = Field(primary_key=True)
    owner: str
    workflow: str
    state: str
    runner: str | None
    cancel: int
    created: int = Field(sa_type=BigInteger)
    ended: int | None = Field(sa_type=BigInteger)
    error: str | None
    payload: str
    results: str | None


class JobNodeRow(SQLModel, table=True):
    """A started node of a job, and its `output` (JSON). `turn`: the id of what happens in it; a turn by that id is not settled
    as long as the node runs."""

    __tablename__ = "job_nodes"
    __table_args__ = (_where("job_nodes_running", "turn", rows="state = 'running'"),)

    job: str = Field(foreign_key="jobs.id", ondelete="CASCADE", primary_key=True)
    path: str = Field(primary_key=True)
    state: str
    starts: int
    turn: str
    started: int = Field(sa_type=BigInteger)
    ended: int | None = Field(sa_type=BigInteger)
    output: str | None
    error: str | None


# Memories.


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

    session_id: int = Field(sa_column=_session_id(primary_key=True))
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


# Search: see `search`. Terms are numbers (`words`), the same on every database.


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
        _where("search_entries_by_ref", "space", "ref", rows="ref IS NOT NULL", unique=True),
        _where("search_entries_orphaned", "id", rows="session_id IS NULL AND ref IS NULL"),
        {"sqlite_autoincrement": True},
    )

    id: int = Field(sa_column=_seq())
    space: int
    ref: str | None
    session_id: int | None = Field(sa_column=Column(_BigId, ForeignKey("sessions.id", ondelete="SET NULL"), nullable=True))
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

    session_id: int = Field(sa_column=_session_id(primary_key=True))
    space: int
    seq: int


class SearchVectorRow(SQLModel, table=True):
    """An entry's vector: 32-bit floats of length 1, little-endian, and their signs as bits. `model`: who made it."""

    __tablename__ = "search_vectors"
    __table_args__ = (Index("search_vectors_by_space", "space", "model"),)

    entry: int = Field(
        sa_column=Column(_BigId, ForeignKey("search_entries.id", ondelete="CASCADE"), nullable=False, primary_key=True, autoincrement=False)
    )
    space: int
    model: str
    vector: bytes


# Summaries


class SummaryRow(SQLModel, table=True):
    """A cut of a session: the model sees `text` in place of the messages before `seq`, and tool results before `results_from` in one line."""

    __tablename__ = "summaries"

    session_id: int = Field(sa_column=_session_id(primary_key=True))
    seq: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    results_from: int
    text: str
    tokens: int
    made_by: str
    at: int = Field(sa_type=BigInteger)
