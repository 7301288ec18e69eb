"""Sessions, messages, turns and attachments."""

import sqlalchemy as sa
from alembic import op

from assistant.store.migrations import ID, columns, index_where

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "sessions",
        sa.Column("id", ID, primary_key=True, autoincrement=True),
        *columns(sa.String, "owner", "key"),
        *columns(sa.BigInteger, "created", "updated"),
        *columns(sa.Integer, "messages", "context_from"),
        *columns(sa.BigInteger, "prompt_tokens", "completion_tokens", "cached_tokens"),
        sqlite_autoincrement=True,
    )
    op.create_index("sessions_by_owner_and_key", "sessions", ["owner", "key"], unique=True)
    op.create_index("sessions_by_updated", "sessions", ["owner", "updated", "id"])
    op.create_table(
        "messages",
        sa.Column("session_id", ID, sa.ForeignKey("sessions.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("turn_id", sa.String, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        *columns(sa.String, "role", "payload"),
    )
    op.create_table(
        "turns",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("session_id", ID, sa.ForeignKey("sessions.id", ondelete="CASCADE"), nullable=False),
        *columns(sa.String, "state", "runner"),
        sa.Column("started", sa.BigInteger, nullable=False),
        sa.Column("ended", sa.BigInteger),
        sa.Column("error", sa.String),
    )
    op.create_index("turns_by_session", "turns", ["session_id"])
    index_where("turns_running", "turns", ["runner"], "state = 'running'")
    op.create_table(
        "attachments",
        sa.Column("id", sa.String, primary_key=True),
        *columns(sa.String, "owner", "session", "digest"),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("used", sa.Integer, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("label", sa.String, nullable=False),
    )
    op.create_index("attachments_by_session", "attachments", ["owner", "session", "at"])
    op.create_index("attachments_by_digest", "attachments", ["digest"])
    op.create_table(
        "pulse", sa.Column("id", sa.Integer, primary_key=True, autoincrement=False), sa.Column("at", sa.BigInteger, nullable=False)
    )
