"""What a restored store waits with, until its owner resumes it."""

import sqlalchemy as sa
from alembic import op

from assistant.store.migrations import columns

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    op.create_table("freezes", sa.Column("id", sa.String, primary_key=True), *columns(sa.BigInteger, "made", "at"))
