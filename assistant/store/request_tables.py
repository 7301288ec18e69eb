"""The tables of requests: what was answered, responses, and files that may be named. Part of `tables`, where the conventions stand."""

# pyright: reportAssignmentType=false
# As in `tables`.

from sqlalchemy import BigInteger, Column, ForeignKey, Index, LargeBinary, String, text
from sqlmodel import Field, SQLModel

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
