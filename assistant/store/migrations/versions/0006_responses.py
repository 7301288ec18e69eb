"""Responses, and the files that were sent with them."""

import sqlalchemy as sa
from alembic import op

from assistant.store.migrations import columns, index_where

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "responses",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("owner", sa.String, nullable=False),
        *columns(sa.String, "previous", "session", nullable=True),
        sa.Column("at", sa.BigInteger, nullable=False),
        *columns(sa.String, "state", "runner", "input", "body"),
    )
    op.create_index("responses_by_at", "responses", ["at"])
    index_where("responses_running", "responses", ["runner"], "state = 'running'")
    op.create_table(
        "response_files",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("response", sa.String, sa.ForeignKey("responses.id", ondelete="CASCADE"), nullable=False),
        *columns(sa.String, "digest", "name"),
    )
    op.create_index("response_files_by_response", "response_files", ["response"])
    op.create_index("response_files_by_digest", "response_files", ["digest"])
