"""Bytes that every server on the store reads: what they are called and where they are, and those that are in the database."""

# pyright: reportAssignmentType=false
# As in `sessions`.

from sqlalchemy import BigInteger, Column, Index, Integer
from sqlmodel import Field, SQLModel

from assistant.store.tables.columns import where


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
