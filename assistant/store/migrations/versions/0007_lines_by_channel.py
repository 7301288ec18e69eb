"""What is first in the lines of a channel is found without those of others."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    in_line = sa.text("state = 'queued' AND yields = 0")
    op.create_index("outbox_lines", "outbox", ["channel", "lane"], sqlite_where=in_line, postgresql_where=in_line)
