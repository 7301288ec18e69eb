"""Keys of the API, browsers, limits, repeated requests, files and responses."""

# pyright: reportAssignmentType=false
# SQLAlchemy declares `__tablename__` as a descriptor; a plain string is what SQLModel documents.

from sqlalchemy import BigInteger, Column, Index, Integer
from sqlmodel import Field, SQLModel

from assistant.store.tables.columns import seq_column, where


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


class BrowserRow(SQLModel, table=True):
    """A browser that is logged in (`kind` "browser"), or a link by which one may, once ("link"). It is removed when it is logged out or used. Of
    its secret there is only `digest`."""

    __tablename__ = "browsers"
    __table_args__ = (Index("browsers_by_digest", "digest", unique=True), Index("browsers_by_caller", "caller"))

    id: str = Field(primary_key=True)
    digest: str
    kind: str
    caller: str
    """The identity for which it speaks."""
    scopes: str | None
    """JSON: ["chat", …]. NULL: all."""
    models: str | None
    """JSON: ["gpt-*", …]. NULL: all."""
    key: str | None
    """The API key that it was logged in with: it ends with that key's secret."""
    proof: str | None
    """With `key`, the digest of that secret; else, of its own secret and the shared one that it was logged in with. NULL: neither."""
    name: str
    created: int = Field(sa_type=BigInteger)
    expires: int = Field(sa_type=BigInteger)
    last_used: int | None = Field(sa_type=BigInteger)


class LimitUseRow(SQLModel, table=True):
    """A request of a principal with limits (`tokens` 0), or tokens it took. Kept for the longest window; with `until`, it runs, until then at
    the latest, and takes a place among `parallel`."""

    __tablename__ = "limit_uses"
    __table_args__ = (
        Index("limit_uses_by_owner", "owner", "at", "tokens"),
        Index("limit_uses_by_time", "at"),
        where("limit_uses_running", "owner", "until", rows="until IS NOT NULL"),
        {"sqlite_autoincrement": True},
    )

    seq: int = Field(sa_column=seq_column())
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


class BlobRow(SQLModel, table=True):
    """Bytes in a place that all servers reach ("database", "s3"). On SQLite there are none: one machine's folder has the files.

    `name`: `attachments/<digest>.read.json`; NULL while they are written (`at`: since when), once nothing holds them (0) and while they are removed
    (-1). `sha256`: of the bytes.
    """

    __tablename__ = "blobs"
    __table_args__ = (Index("blobs_by_name", "name", unique=True), where("blobs_without_name", "at", rows="name IS NULL"))

    id: str = Field(primary_key=True)
    name: str | None
    place: str
    size: int = Field(sa_type=BigInteger)
    sha256: str
    at: int = Field(sa_type=BigInteger)


class BlobChunkRow(SQLModel, table=True):
    """A piece of the bytes of a blob in the database, from 0."""

    __tablename__ = "blob_chunks"

    blob: str = Field(primary_key=True)
    seq: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    data: bytes


class ResponseRow(SQLModel, table=True):
    """What was sent to be answered (`input`: JSON) and the response (`body`: JSON). `runner`: the process that answers it, or did."""

    __tablename__ = "responses"
    __table_args__ = (Index("responses_by_at", "at"), where("responses_running", "runner", rows="state = 'running'"))

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
