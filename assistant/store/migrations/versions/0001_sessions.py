"""Sessions, messages, turns and attachments."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_RUNNING = sa.text("state = 'running'")


def upgrade() -> None:
    op.create_table(
        "sessions",
        sa.Column("id", _ID, primary_key=True, autoincrement=True),
        sa.Column("owner", sa.String, nullable=False),
        sa.Column("key", sa.String, nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("updated", sa.BigInteger, nullable=False),
        sa.Column("messages", sa.Integer, nullable=False),
        sa.Column("context_from", sa.Integer, nullable=False),
        sa.Column("prompt_tokens", sa.BigInteger, nullable=False),
        sa.Column("completion_tokens", sa.BigInteger, nullable=False),
        sa.Column("cached_tokens", sa.BigInteger, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("sessions_by_owner_and_key", "sessions", ["owner", "key"], unique=True)
    op.create_index("sessions_by_updated", "sessions", ["owner", "updated", "id"])
    op.create_table(
        "messages",
        sa.Column("session_id", _ID, sa.ForeignKey("sessions.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("turn_id", sa.String, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("role", sa.String, nullable=False),
        sa.Column("payload", sa.String, nullable=False),
    )
    op.create_table(
        "turns",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("session_id", _ID, sa.ForeignKey("sessions.id", ondelete="CASCADE"), nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("runner", sa.String, nullable=False),
        sa.Column("started", sa.BigInteger, nullable=False),
        sa.Column("ended", sa.BigInteger),
        sa.Column("error", sa.String),
    )
    op.create_index("turns_by_session", "turns", ["session_id"])
    op.create_index("turns_running", "turns", ["runner"], sqlite_where=_RUNNING, postgresql_where=_RUNNING)
    op.create_table(
        "attachments",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("owner", sa.String, nullable=False),
        sa.Column("session", sa.String, nullable=False),
        sa.Column("digest", sa.String, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("used", sa.Integer, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("label", sa.String, nullable=False),
    )
    op.create_index("attachments_by_session", "attachments", ["owner", "session", "at"])
    op.create_index("attachments_by_digest", "attachments", ["digest"])
    op.create_table(
        "pulse",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("at", sa.BigInteger, nullable=False),
    )
