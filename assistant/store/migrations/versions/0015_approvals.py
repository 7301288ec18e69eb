"""Approvals: calls that wait for a person's yes, what was allowed for a session, and the continuations of sessions."""

import sqlalchemy as sa
from alembic import op

from assistant.store.migrations import columns, index_where

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    op.create_table(
        "approvals",
        sa.Column("id", sa.String, primary_key=True),
        *columns(sa.String, "code", "owner", "session", "person", "state"),
        sa.Column("answer", sa.String),
        *columns(sa.String, "turn", "place"),
        sa.Column("run", sa.String),
        *columns(sa.BigInteger, "created", "expires"),
        *columns(sa.BigInteger, "started", "ended", nullable=True),
        *columns(sa.String, "digest", "payload"),
    )
    op.create_index("approvals_by_person", "approvals", ["person", "created", "id"])
    op.create_index("approvals_by_owner", "approvals", ["owner", "session"])
    op.create_index("approvals_by_code", "approvals", ["code"])
    op.create_index("approvals_by_turn", "approvals", ["turn"])
    op.create_index("approvals_ended", "approvals", ["ended"])
    index_where("approvals_waiting", "approvals", ["expires"], "state = 'waiting'")
    index_where("approvals_approved", "approvals", ["run"], "state = 'approved'")
    op.create_table(
        "approval_grants",
        sa.Column("id", sa.String, primary_key=True),
        *columns(sa.String, "owner", "session", "person", "agent", "tool", "likeness"),
        sa.Column("at", sa.BigInteger, nullable=False),
    )
    op.create_index("approval_grants_by_owner", "approval_grants", ["owner", "session"])
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
