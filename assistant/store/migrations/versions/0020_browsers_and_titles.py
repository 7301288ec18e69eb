"""Browsers that are logged in, and what sessions are called."""

import sqlalchemy as sa
from alembic import op

from assistant.store.codec import decode_message
from assistant.store.migrations import columns
from assistant.store.titles import opening_of

revision = "0020"
down_revision = "0019"

FIRST_SAID = """
    SELECT m.session_id, m.payload FROM messages AS m
    WHERE m.role = 'user' AND m.session_id > :after AND m.seq = (
        SELECT MIN(seq) FROM messages WHERE session_id = m.session_id AND role = 'user')
    ORDER BY m.session_id LIMIT 500"""


def upgrade() -> None:
    op.create_table(
        "browsers",
        sa.Column("id", sa.String, primary_key=True),
        *columns(sa.String, "digest", "kind", "caller"),
        *columns(sa.String, "scopes", "models", "key", "proof", nullable=True),
        sa.Column("name", sa.String, nullable=False),
        *columns(sa.BigInteger, "created", "expires"),
        sa.Column("last_used", sa.BigInteger),
    )
    op.create_index("browsers_by_digest", "browsers", ["digest"], unique=True)
    op.create_index("browsers_by_caller", "browsers", ["caller"])
    op.add_column("sessions", sa.Column("title", sa.String))
    op.add_column("sessions", sa.Column("opening", sa.String, nullable=False, server_default=""))
    _fill_openings()


def _fill_openings() -> None:
    bind, last = op.get_bind(), 0
    while rows := bind.execute(sa.text(FIRST_SAID), {"after": last}).all():
        for session, payload in rows:
            bind.execute(
                sa.text("UPDATE sessions SET opening = :opening WHERE id = :id"),
                {"id": session, "opening": opening_of([decode_message(payload)])},
            )
        last = rows[-1][0]
