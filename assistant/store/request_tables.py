"""The tables of requests: what was answered, and files that may be named. Part of `tables`, where the conventions stand."""

# pyright: reportAssignmentType=false
# As in `tables`.

from sqlalchemy import BigInteger, Column, Index, LargeBinary
from sqlmodel import Field, SQLModel


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
