"""MCP servers: the tools that were approved, and grants of OAuth."""

import sqlalchemy as sa
from alembic import op

from assistant.store.migrations import columns

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    op.create_table(
        "mcp_servers",
        sa.Column("name", sa.String, primary_key=True),
        *columns(sa.String, "origin", "listed", "approved", "offers"),
        *columns(sa.BigInteger, "revision", "at"),
    )
    op.create_table(
        "mcp_grants",
        sa.Column("name", sa.String, primary_key=True),
        *columns(sa.String, "url", "grant_json", "claim"),
        sa.Column("until", sa.BigInteger, nullable=False),
    )
