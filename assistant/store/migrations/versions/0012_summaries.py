"""Summaries at the cuts of a session, and a number that changes where what a model sees of a session changes."""

import sqlalchemy as sa
from alembic import op

from assistant.store.migrations import ID, columns

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.add_column("sessions", sa.Column("revision", sa.Integer, nullable=False, server_default="0"))
    op.create_table(
        "summaries",
        sa.Column("session_id", ID, sa.ForeignKey("sessions.id", ondelete="CASCADE"), nullable=False, autoincrement=False),
        *columns(sa.Integer, "seq", "results_from"),
        sa.Column("text", sa.String, nullable=False),
        sa.Column("tokens", sa.Integer, nullable=False),
        sa.Column("made_by", sa.String, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("session_id", "seq"),
    )
