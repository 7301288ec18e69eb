"""The journal of effects: what was done, when, by whose word.

A row is never changed, but for words that were forgotten everywhere and for the owner's name, and never deleted but with its owner's space.
"""

# pyright: reportAssignmentType=false
# SQLAlchemy declares `__tablename__` as a descriptor; a plain string is what SQLModel documents.

from sqlalchemy import BigInteger, Column, Index, Integer
from sqlmodel import Field, SQLModel


class AuditRow(SQLModel, table=True):
    """An effect of a tool's call, or a call that waits for a yes. Only ever added, in the transaction that adds its step."""

    __tablename__ = "audit"
    __table_args__ = (Index("audit_by_owner", "owner", "at"), {"sqlite_with_rowid": False})

    at: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    id: str = Field(primary_key=True)
    owner: str
    session: str
    """The key; the row outlives its session."""
    turn: str
    agent: str
    """Its id; empty: not known."""
    cause: str
    """As in `Cause`."""
    cause_id: str
    caller: str
    """Who asked, as in `Payer`."""
    tool: str
    """The name that the model calls."""
    kind: str
    """Of the effect; "asked": it waits."""
    text: str
    """One line; of one that waits, the whole call."""
    ref: str
    """The id of what was made or changed."""
    read: int = Field(sa_type=Integer)
    """As of a session, when the step was stored."""
    approval: str
    """The one under which it ran, or for which it waits; empty: none."""
