"""What waits for a person, and the turns that follow."""

# pyright: reportAssignmentType=false
# SQLAlchemy declares `__tablename__` as a descriptor; a plain string is what SQLModel documents.

from sqlalchemy import BigInteger, Index
from sqlmodel import Field, SQLModel

from assistant.store.tables.columns import where


class ContinuationRow(SQLModel, table=True):
    """A turn that a session runs by itself: waiting, taken, done. `turn`: the id that it has, or will have. `runner`: the process that runs it.
    `payload`: JSON of `Continuation`, whose owner and session are those of the row."""

    __tablename__ = "continuations"
    __table_args__ = (
        Index("continuations_by_owner", "owner", "session"),
        Index("continuations_ended", "ended"),
        where("continuations_waiting", "owner", "session", "at", rows="state = 'waiting'"),
        where("continuations_taken", "turn", rows="state = 'taken'"),
    )

    id: str = Field(primary_key=True)
    owner: str
    session: str
    state: str
    turn: str
    at: int = Field(sa_type=BigInteger)
    ended: int | None = Field(sa_type=BigInteger)
    runner: str | None
    crashes: int
    payload: str
