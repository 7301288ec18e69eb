"""What each model call cost, and budgets."""

import sqlalchemy as sa
from alembic import op

from assistant.store.migrations import columns, index_where

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    op.create_table(
        "ledger",
        sa.Column("at", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("id", sa.String, primary_key=True),
        *columns(sa.String, "owner", "caller", "session", "agent", "cause", "cause_id", "operation", "provider", "model"),
        *columns(sa.BigInteger, "prompt_tokens", "completion_tokens", "cached_tokens", "reasoning_tokens"),
        sa.Column("cost", sa.BigInteger),
        *columns(sa.String, "cost_source", "state"),
        sa.Column("estimate", sa.BigInteger, nullable=False),
        sa.Column("runner", sa.String),
        sqlite_with_rowid=False,
    )
    index_where("ledger_reserved", "ledger", ["runner"], "state = 'reserved'")
    op.create_table(
        "budgets",
        sa.Column("subject", sa.String, primary_key=True),
        sa.Column("period", sa.String, primary_key=True),
        sa.Column("unit", sa.String, primary_key=True),
        sa.Column("amount", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "budget_windows",
        sa.Column("subject", sa.String, primary_key=True),
        sa.Column("period", sa.String, primary_key=True),
        sa.Column("start", sa.BigInteger, primary_key=True, autoincrement=False),
        *columns(sa.BigInteger, "tokens", "cost"),
        sa.Column("noticed", sa.Integer, nullable=False),
    )
