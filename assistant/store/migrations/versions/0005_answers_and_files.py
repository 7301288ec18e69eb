"""First answers, for requests that come again; and files that requests may name."""

import sqlalchemy as sa
from alembic import op

from assistant.store.migrations import columns

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "answers",
        sa.Column("owner", sa.String, primary_key=True),
        sa.Column("key", sa.String, primary_key=True),
        *columns(sa.String, "claim", "fingerprint", "state", "runner"),
        sa.Column("expires", sa.BigInteger, nullable=False),
        sa.Column("status", sa.Integer),
        sa.Column("headers", sa.String),
        sa.Column("body", sa.LargeBinary),
    )
    op.create_index("answers_expiring", "answers", ["expires"])
    op.create_table(
        "files",
        sa.Column("id", sa.String, primary_key=True),
        *columns(sa.String, "owner", "digest"),
        *columns(sa.BigInteger, "at", "size"),
        *columns(sa.String, "name", "purpose"),
    )
    op.create_index("files_by_owner", "files", ["owner", "at", "id"])
    op.create_index("files_by_digest", "files", ["digest"])
