"""What a platform did not take of a part stands with its receipt."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.add_column("outbox_parts", sa.Column("receipt_notice", sa.String))
