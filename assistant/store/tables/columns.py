"""Columns and indexes that several tables have."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, text

BigId = BigInteger().with_variant(Integer, "sqlite")


def seq_column() -> Column[int]:
    return Column(BigId, primary_key=True, autoincrement=True)


def where(name: str, *columns: str, rows: str, unique: bool = False) -> Index:
    """An index of the few active rows only."""
    return Index(name, *columns, unique=unique, sqlite_where=text(rows), postgresql_where=text(rows))


def session_column(*, primary_key: bool = False) -> Column[int]:
    return Column(BigId, ForeignKey("sessions.id", ondelete="CASCADE"), nullable=False, primary_key=primary_key, autoincrement=False)


def event_column() -> Column[int]:
    return Column(BigId, ForeignKey("outbox.seq", ondelete="CASCADE"), nullable=False, primary_key=True, autoincrement=False)
