"""The tables of memories, as revision 0011 made them."""

import sqlalchemy as sa
from alembic import op

from assistant.store.migrations import ID, columns


def create_memory_tables() -> None:
    op.create_table(
        "memories",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("owner", sa.String, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        *columns(sa.String, "text", "kind", "provenance", "about", "digest"),
        *columns(sa.String, "session", "message", nullable=True),
        *columns(sa.Integer, "seq", "learned"),
        sa.Column("seen", sa.BigInteger, nullable=False),
        sa.Column("until", sa.BigInteger, nullable=True),
        sa.Column("superseded", sa.String, nullable=True),
    )
    op.create_index("memories_by_owner", "memories", ["owner", "number"], unique=True)
    op.create_index("memories_by_digest", "memories", ["owner", "digest"])
    op.create_index("memories_by_subject", "memories", ["owner", "about"])
    op.create_table(
        "memory_tombstones",
        sa.Column("owner", sa.String, primary_key=True),
        sa.Column("digest", sa.String, primary_key=True),
        sa.Column("words", sa.String, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
    )
    op.create_table("memory_owners", sa.Column("owner", sa.String, primary_key=True), sa.Column("learn", sa.Integer, nullable=False))
    op.create_table(
        "memory_learned",
        _of_session(),
        sa.Column("seq", sa.Integer, nullable=False),
        sa.Column("claim", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "session_profiles",
        sa.Column("owner", sa.String, primary_key=True),
        sa.Column("session", sa.String, primary_key=True),
        sa.Column("context_from", sa.Integer, nullable=False),
        sa.Column("text", sa.String, nullable=False),
    )


def _of_session() -> sa.Column[int]:
    return sa.Column("session_id", ID, sa.ForeignKey("sessions.id", ondelete="CASCADE"), primary_key=True, autoincrement=False)
