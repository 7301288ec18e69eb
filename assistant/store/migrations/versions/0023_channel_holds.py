"""Which process holds which channel."""

import sqlalchemy as sa
from alembic import op

from assistant.store.migrations import columns

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    op.create_table(
        "channel_holds",
        sa.Column("channel", sa.String, primary_key=True),
        *columns(sa.String, "runner"),
        *columns(sa.BigInteger, "asked", "answered"),
    )
