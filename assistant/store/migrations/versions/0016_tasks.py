"""Background tasks: child turns with a parent."""

import sqlalchemy as sa
from alembic import op

from assistant.store.migrations import columns, index_where

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    op.create_table(
        "tasks",
        sa.Column("id", sa.String, primary_key=True),
        *columns(sa.String, "owner", "kind", "state"),
        sa.Column("runner", sa.String),
        *columns(sa.Integer, "cancel", "background", "attempt", "crashes", "depth"),
        sa.Column("created", sa.BigInteger, nullable=False),
        *columns(sa.BigInteger, "started", "deadline", "ended", nullable=True),
        *columns(sa.String, "session", "parent", "turn", "handover"),
        sa.Column("continuation", sa.String),
        sa.Column("payload", sa.String, nullable=False),
        sa.Column("outcome", sa.String),
    )
    op.create_index("tasks_by_owner", "tasks", ["owner", "created", "id"])
    op.create_index("tasks_ended", "tasks", ["ended"])
    index_where("tasks_open", "tasks", ["handover", "state"], "handover IN ('', 'kept')")
    index_where("tasks_by_turn", "tasks", ["turn"], "ended IS NULL")
