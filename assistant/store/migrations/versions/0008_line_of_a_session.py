"""Turns of one session wait for each other, whichever process runs them."""

import sqlalchemy as sa
from alembic import op

from assistant.store.migrations import index_where

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.add_column("turns", sa.Column("lease", sa.BigInteger, nullable=True))
    op.drop_index("turns_running", "turns")  # who waits is in none of its rows
    index_where("turns_open", "turns", ["session_id", "started"], "ended IS NULL")
