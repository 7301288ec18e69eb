"""Keys of the API, and what counts against limits."""

import sqlalchemy as sa
from alembic import op

from assistant.store.migrations import ID, columns, index_where

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "api_keys",
        sa.Column("id", sa.String, primary_key=True),
        *columns(sa.String, "name", "prefix", "digest"),
        sa.Column("previous", sa.String),
        sa.Column("previous_until", sa.BigInteger),
        sa.Column("scopes", sa.String, nullable=False),
        sa.Column("models", sa.String),
        sa.Column("requests", sa.Integer),
        sa.Column("tokens", sa.BigInteger),
        sa.Column("parallel", sa.Integer),
        sa.Column("created", sa.BigInteger, nullable=False),
        *columns(sa.BigInteger, "expires", "last_used", "revoked", nullable=True),
    )
    op.create_index("api_keys_by_digest", "api_keys", ["digest"], unique=True)
    op.create_index("api_keys_by_previous", "api_keys", ["previous"], unique=True)
    op.create_table(
        "limit_uses",
        sa.Column("seq", ID, primary_key=True, autoincrement=True),
        sa.Column("owner", sa.String, nullable=False),
        *columns(sa.BigInteger, "at", "tokens"),
        sa.Column("runner", sa.String, nullable=False),
        sa.Column("until", sa.BigInteger),
        sqlite_autoincrement=True,
    )
    op.create_index("limit_uses_by_owner", "limit_uses", ["owner", "at", "tokens"])
    op.create_index("limit_uses_by_time", "limit_uses", ["at"])
    index_where("limit_uses_running", "limit_uses", ["owner", "until"], "until IS NOT NULL")
