"""The revisions of the schema, and what they share."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def columns(kind: Any, *names: str, nullable: bool = False) -> list[sa.Column[Any]]:
    """Columns of one type."""
    return [sa.Column(name, kind, nullable=nullable) for name in names]


def index_where(name: str, table: str, columns: Sequence[str], rows: str, *, unique: bool = False) -> None:
    """An index of some rows only."""
    op.create_index(name, table, columns, unique=unique, sqlite_where=sa.text(rows), postgresql_where=sa.text(rows))
