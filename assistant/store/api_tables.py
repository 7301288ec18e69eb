"""Tables of what the API keeps: keys and their use, first answers, files, responses, jobs."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, LargeBinary, String, text
from sqlmodel import Field, SQLModel

# pyright: reportAssignmentType=false
# SQLAlchemy declares `__tablename__` as a descriptor; a plain string is what SQLModel documents.


_Id = BigInteger().with_variant(Integer, "sqlite")
_RUNS = text("until IS NOT NULL")


class ApiKeyRow(SQLModel, table=True):
    """A key that opens the API. Of a secret there is only `digest`, the SHA-256 of all of it, in hex."""

    __tablename__ = "api_keys"
    __table_args__ = (
        Index("api_keys_by_digest", "digest", unique=True),
        Index("api_keys_by_previous", "previous", unique=True),
    )

    id: str = Field(primary_key=True)
    name: str
    prefix: str
    digest: str
    previous: str | None
    """The secret before the last rotation, as `digest`."""
    previous_until: int | None = Field(sa_column=Column(BigInteger, nullable=True))
    scopes: str
    """JSON: ["chat", …]."""
    models: str | None
    """JSON: ["gpt-*", …]. NULL: all."""
    requests: int | None
    tokens: int | None = Field(sa_column=Column(BigInteger, nullable=True))
    parallel: int | None
    created: int = Field(sa_column=Column(BigInteger, nullable=False))
    expires: int | None = Field(sa_column=Column(BigInteger, nullable=True))
    last_used: int | None = Field(sa_column=Column(BigInteger, nullable=True))
    revoked: int | None = Field(sa_column=Column(BigInteger, nullable=True))


class LimitUseRow(SQLModel, table=True):
    """A request of a principal with limits (`tokens` 0), or tokens it took. Kept for the longest window; with `until`, it runs, until then at
    the latest, and takes a place among `parallel`."""

    __tablename__ = "limit_uses"
    __table_args__ = (
        Index("limit_uses_by_owner", "owner", "at", "tokens"),
        Index("limit_uses_by_time", "at"),
        Index("limit_uses_running", "owner", "until", sqlite_where=_RUNS, postgresql_where=_RUNS),
        {"sqlite_autoincrement": True},
    )

    seq: int = Field(sa_column=Column(_Id, primary_key=True, autoincrement=True))
    owner: str
    at: int = Field(sa_column=Column(BigInteger, nullable=False))
    tokens: int = Field(sa_column=Column(BigInteger, nullable=False))
    runner: str
    until: int | None = Field(sa_column=Column(BigInteger, nullable=True))


# pyright: reportAssignmentType=false
# As in `tables`.


_RUNNING = text("state = 'running'")


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
    expires: int = Field(sa_column=Column(BigInteger, nullable=False))
    status: int | None
    headers: str | None
    body: bytes | None = Field(sa_column=Column(LargeBinary, nullable=True))


class FileRow(SQLModel, table=True):
    """A file that its owner may name in requests. The file itself lies with the attachments, by `digest`."""

    __tablename__ = "files"
    __table_args__ = (
        Index("files_by_owner", "owner", "at", "id"),
        Index("files_by_digest", "digest"),
    )

    id: str = Field(primary_key=True)
    owner: str
    digest: str
    at: int = Field(sa_column=Column(BigInteger, nullable=False))
    size: int = Field(sa_column=Column(BigInteger, nullable=False))
    name: str
    purpose: str


class ResponseRow(SQLModel, table=True):
    """What was sent to be answered (`input`: JSON) and the response (`body`: JSON). `runner`: the process that answers it, or did."""

    __tablename__ = "responses"
    __table_args__ = (
        Index("responses_by_at", "at"),
        Index("responses_running", "runner", sqlite_where=_RUNNING, postgresql_where=_RUNNING),
    )

    id: str = Field(primary_key=True)
    owner: str
    previous: str | None
    session: str | None
    at: int = Field(sa_column=Column(BigInteger, nullable=False))
    state: str
    runner: str
    input: str
    body: str


class ResponseFileRow(SQLModel, table=True):
    """A file that was sent with a response's input. The file itself lies with the attachments, by `digest`."""

    __tablename__ = "response_files"
    __table_args__ = (
        Index("response_files_by_response", "response"),
        Index("response_files_by_digest", "digest"),
    )

    id: str = Field(primary_key=True)
    response: str = Field(sa_column=Column(String, ForeignKey("responses.id", ondelete="CASCADE"), nullable=False))
    digest: str
    name: str


# pyright: reportAssignmentType=false
# SQLAlchemy declares `__tablename__` as a descriptor; a plain string is what SQLModel documents.


_UNENDED = text("ended IS NULL")


class JobRow(SQLModel, table=True):
    """A run of a workflow. `payload`: JSON, what it was started with; `results`: JSON, its outputs. `runner`: the process that holds it, NULL when
    none does. `cancel`: 1 when it is to be cancelled."""

    __tablename__ = "jobs"
    __table_args__ = (
        Index("jobs_by_owner", "owner", "id"),
        Index("jobs_ended", "ended"),
        Index("jobs_at_work", "runner", sqlite_where=_UNENDED, postgresql_where=_UNENDED),
    )

    id: str = Field(primary_key=True)
    owner: str
    workflow: str
    state: str
    runner: str | None
    cancel: int
    created: int = Field(sa_column=Column(BigInteger, nullable=False))
    ended: int | None = Field(sa_column=Column(BigInteger, nullable=True))
    error: str | None
    payload: str
    results: str | None


class JobNodeRow(SQLModel, table=True):
    """A started node of a job, and its `output` (JSON). `turn`: the id of what happens in it; a turn by that id is not settled
    as long as the node runs."""

    __tablename__ = "job_nodes"
    __table_args__ = (Index("job_nodes_running", "turn", sqlite_where=_RUNNING, postgresql_where=_RUNNING),)

    job: str = Field(sa_column=Column(String, ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False, primary_key=True))
    path: str = Field(primary_key=True)
    state: str
    starts: int
    turn: str
    started: int = Field(sa_column=Column(BigInteger, nullable=False))
    ended: int | None = Field(sa_column=Column(BigInteger, nullable=True))
    output: str | None
    error: str | None
