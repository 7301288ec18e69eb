"""First answers, for requests that come again; and files that requests may name."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "answers",
        sa.Column("owner", sa.String, primary_key=True),
        sa.Column("key", sa.String, primary_key=True),
        sa.Column("claim", sa.String, nullable=False),
        sa.Column("fingerprint", sa.String, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("runner", sa.String, nullable=False),
        sa.Column("expires", sa.BigInteger, nullable=False),
        sa.Column("status", sa.Integer),
        sa.Column("headers", sa.String),
        sa.Column("body", sa.LargeBinary),
    )
    op.create_index("answers_expiring", "answers", ["expires"])
    op.create_table(
        "files",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("owner", sa.String, nullable=False),
        sa.Column("digest", sa.String, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("purpose", sa.String, nullable=False),
    )
    op.create_index("files_by_owner", "files", ["owner", "at", "id"])
    op.create_index("files_by_digest", "files", ["digest"])
