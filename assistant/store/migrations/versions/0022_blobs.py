"""Bytes of attachments and media that every server on a PostgreSQL reads."""

import sqlalchemy as sa
from alembic import op

from assistant.store.migrations import columns, index_where

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    op.create_table(
        "blobs",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("name", sa.String),
        *columns(sa.String, "place"),
        *columns(sa.BigInteger, "size"),
        *columns(sa.String, "sha256"),
        *columns(sa.BigInteger, "at"),
    )
    op.create_index("blobs_by_name", "blobs", ["name"], unique=True)
    index_where("blobs_without_name", "blobs", ["at"], "name IS NULL")
    op.create_table(
        "blob_chunks",
        sa.Column("blob", sa.String, primary_key=True),
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
        *columns(sa.LargeBinary, "data"),
    )
