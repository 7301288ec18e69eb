"""Responses, and the files that were sent with them."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "responses",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("owner", sa.String, nullable=False),
        sa.Column("previous", sa.String),
        sa.Column("session", sa.String),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("runner", sa.String, nullable=False),
        sa.Column("input", sa.String, nullable=False),
        sa.Column("body", sa.String, nullable=False),
    )
    op.create_index("responses_by_at", "responses", ["at"])
    running = sa.text("state = 'running'")
    op.create_index("responses_running", "responses", ["runner"], sqlite_where=running, postgresql_where=running)
    op.create_table(
        "response_files",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("response", sa.String, sa.ForeignKey("responses.id", ondelete="CASCADE"), nullable=False),
        sa.Column("digest", sa.String, nullable=False),
        sa.Column("name", sa.String, nullable=False),
    )
    op.create_index("response_files_by_response", "response_files", ["response"])
    op.create_index("response_files_by_digest", "response_files", ["digest"])
