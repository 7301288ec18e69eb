"""Schedules and their occurrences."""

import sqlalchemy as sa
from alembic import op

from assistant.store.migrations import columns, index_where

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.create_table(
        "schedules",
        sa.Column("id", sa.String, primary_key=True),
        *columns(sa.String, "owner", "state"),
        sa.Column("created", sa.BigInteger, nullable=False),
        *columns(sa.BigInteger, "ended", "next_at", "last", nullable=True),
        sa.Column("zones", sa.String, nullable=False),
        *columns(sa.Integer, "failures", "untold"),
        sa.Column("watch", sa.String),
        sa.Column("payload", sa.String, nullable=False),
    )
    op.create_index("schedules_by_owner", "schedules", ["owner", "created", "id"])
    op.create_index("schedules_ended", "schedules", ["ended"])
    index_where("schedules_next", "schedules", ["next_at"], "state = 'active' AND next_at IS NOT NULL")
    index_where("schedules_untold", "schedules", ["id"], "untold = 1")
    op.create_table(
        "occurrences",
        sa.Column("schedule", sa.String, sa.ForeignKey("schedules.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("instant", sa.BigInteger, primary_key=True, autoincrement=False),
        *columns(sa.String, "id", "state"),
        *columns(sa.BigInteger, "started", "ended", nullable=True),
        *columns(sa.String, "ref", "runner", nullable=True),
        sa.Column("crashes", sa.Integer, nullable=False),
        sa.Column("root", sa.BigInteger),
        sa.Column("round", sa.Integer, nullable=False),
        *columns(sa.String, "material", "error", nullable=True),
    )
    op.create_index("occurrences_by_id", "occurrences", ["id"], unique=True)
    op.create_index("occurrences_ended", "occurrences", ["ended"])
    index_where("occurrences_by_ref", "occurrences", ["ref"], "ref IS NOT NULL")
    index_where("occurrences_waiting", "occurrences", ["instant"], "state = 'waiting'")
    index_where("occurrences_held", "occurrences", ["runner"], "state = 'claimed'")
