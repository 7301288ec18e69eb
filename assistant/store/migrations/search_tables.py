"""The tables of search, as revision 0011 made them."""

import sqlalchemy as sa
from alembic import op

_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def create_search_tables() -> None:
    op.create_table(
        "search_spaces",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("owner", sa.String, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("entries", sa.Integer, nullable=False),
        sa.Column("terms", sa.BigInteger, nullable=False),
        sa.Column("seen", sa.BigInteger, nullable=False),
    )
    op.create_index("search_spaces_by_owner", "search_spaces", ["owner", "kind"], unique=True)
    op.create_table(
        "search_entries",
        sa.Column("id", _ID, primary_key=True, autoincrement=True),
        sa.Column("space", sa.Integer, nullable=False),
        sa.Column("ref", sa.String),
        sa.Column("session_id", _ID, sa.ForeignKey("sessions.id", ondelete="SET NULL")),
        sa.Column("seq", sa.Integer),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("text", sa.String),
        sa.Column("terms", sa.LargeBinary, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("search_entries_by_message", "search_entries", ["session_id", "seq"], unique=True)
    op.create_index("search_entries_by_time", "search_entries", ["space", "at"])
    _create_partial("search_entries_by_ref", ["space", "ref"], "ref IS NOT NULL", unique=True)
    _create_partial("search_entries_orphaned", ["id"], "session_id IS NULL AND ref IS NULL")
    op.create_table(
        "search_terms",
        sa.Column("space", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("term", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("entry", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("weight", sa.Integer, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "search_marks",
        sa.Column("session_id", _ID, sa.ForeignKey("sessions.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
        sa.Column("space", sa.Integer, nullable=False),
        sa.Column("seq", sa.Integer, nullable=False),
    )
    op.create_table(
        "search_vectors",
        sa.Column("entry", _ID, sa.ForeignKey("search_entries.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
        sa.Column("space", sa.Integer, nullable=False),
        sa.Column("model", sa.String, nullable=False),
        sa.Column("vector", sa.LargeBinary, nullable=False),
    )
    op.create_index("search_vectors_by_space", "search_vectors", ["space", "model"])


def _create_partial(name: str, columns: list[str], rows: str, *, unique: bool = False) -> None:
    op.create_index(name, "search_entries", columns, unique=unique, sqlite_where=sa.text(rows), postgresql_where=sa.text(rows))
