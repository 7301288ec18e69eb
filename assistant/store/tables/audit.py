"""What was done, by whose word."""

# pyright: reportAssignmentType=false
# SQLAlchemy declares `__tablename__` as a descriptor; a plain string is what SQLModel documents.

from sqlalchemy import BigInteger, Column, Index, Integer
from sqlmodel import Field, SQLModel


class AuditRow(SQLModel, table=True):
    """An effect of a tool's call, or a call that waits for a yes. Only ever added. `session`: the key; the row outlives it. `caller`: who asked, as
    in `Payer`. `read`: as of a session, when the step was stored. `approval`: the one under which it ran, or for which it waits."""

    __tablename__ = "audit"
    __table_args__ = (Index("audit_by_owner", "owner", "at"), {"sqlite_with_rowid": False})

    at: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    id: str = Field(primary_key=True)
    owner: str
    session: str
    turn: str
    agent: str
    cause: str
    cause_id: str
    caller: str
    tool: str
    kind: str
    text: str
    ref: str
    read: int = Field(sa_type=Integer)
    approval: str
