"""Approvals: calls that wait for a person's yes, what was allowed for a session, and the continuations of sessions."""

import sqlalchemy as sa
from alembic import op

from assistant.store.migrations import columns, index_where

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    op.create_table(
        "continuations",
        sa.Column("id", sa.String, primary_key=True),
        *columns(sa.String, "owner", "session", "state", "turn"),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("ended", sa.BigInteger),
        sa.Column("runner", sa.String),
        sa.Column("crashes", sa.Integer, nullable=False),
        sa.Column("payload", sa.String, nullable=False),
    )
    op.create_index("continuations_by_owner", "continuations", ["owner", "session"])
    op.create_index("continuations_ended", "continuations", ["ended"])
    index_where("continuations_waiting", "continuations", ["owner", "session", "at"], "state = 'waiting'")
    index_where("continuations_taken", "continuations", ["turn"], "state = 'taken'")
