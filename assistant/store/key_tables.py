"""The tables of keys and limits; as in `tables`."""

# pyright: reportAssignmentType=false
# SQLAlchemy declares `__tablename__` as a descriptor; a plain string is what SQLModel documents.

from sqlalchemy import BigInteger, Column, Index, Integer, text
from sqlmodel import Field, SQLModel

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
    """A request of a principal that has limits (`tokens` 0), or tokens that one took. It counts for a minute; with `until`, it runs (until then
    at the latest) and takes a place."""

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
