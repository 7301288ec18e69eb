"""Keys of the API, and what counts against limits."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_RUNS = sa.text("until IS NOT NULL")


def upgrade() -> None:
    op.create_table(
        "api_keys",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("prefix", sa.String, nullable=False),
        sa.Column("digest", sa.String, nullable=False),
        sa.Column("previous", sa.String),
        sa.Column("previous_until", sa.BigInteger),
        sa.Column("scopes", sa.String, nullable=False),
        sa.Column("models", sa.String),
        sa.Column("requests", sa.Integer),
        sa.Column("tokens", sa.BigInteger),
        sa.Column("parallel", sa.Integer),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("expires", sa.BigInteger),
        sa.Column("last_used", sa.BigInteger),
        sa.Column("revoked", sa.BigInteger),
    )
    op.create_index("api_keys_by_digest", "api_keys", ["digest"], unique=True)
    op.create_index("api_keys_by_previous", "api_keys", ["previous"], unique=True)
    op.create_table(
        "limit_uses",
        sa.Column("seq", _ID, primary_key=True, autoincrement=True),
        sa.Column("owner", sa.String, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("tokens", sa.BigInteger, nullable=False),
        sa.Column("runner", sa.String, nullable=False),
        sa.Column("until", sa.BigInteger),
        sqlite_autoincrement=True,
    )
    op.create_index("limit_uses_by_owner", "limit_uses", ["owner", "at", "tokens"])
    op.create_index("limit_uses_by_time", "limit_uses", ["at"])
    op.create_index("limit_uses_running", "limit_uses", ["owner", "until"], sqlite_where=_RUNS, postgresql_where=_RUNS)
