"""What waits for a person, and the turns that follow."""

# pyright: reportAssignmentType=false
# SQLAlchemy declares `__tablename__` as a descriptor; a plain string is what SQLModel documents.

from sqlalchemy import BigInteger, Index
from sqlmodel import Field, SQLModel

from assistant.store.tables.columns import where


class ApprovalRow(SQLModel, table=True):
    """A call that waits for a person's yes, or how that ended. `turn` and `place`: where it was made. `run`: the turn that runs it once it is
    approved; it has begun to where `started` is set. `payload`: JSON of `Approval`, whose other columns are those of the row."""

    __tablename__ = "approvals"
    __table_args__ = (
        Index("approvals_by_person", "person", "created", "id"),
        Index("approvals_by_owner", "owner", "session"),
        Index("approvals_by_code", "code"),
        Index("approvals_by_turn", "turn"),
        Index("approvals_ended", "ended"),
        where("approvals_waiting", "expires", rows="state = 'waiting'"),
        where("approvals_approved", "run", rows="state = 'approved'"),
    )

    id: str = Field(primary_key=True)
    code: str
    owner: str
    session: str
    person: str
    state: str
    answer: str | None
    turn: str
    place: str
    run: str | None
    created: int = Field(sa_type=BigInteger)
    expires: int = Field(sa_type=BigInteger)
    started: int | None = Field(sa_type=BigInteger)
    ended: int | None = Field(sa_type=BigInteger)
    digest: str
    payload: str


class ApprovalGrantRow(SQLModel, table=True):
    """What a person allowed for a session: calls of a tool with this subject (`likeness`). By the id of the question that they answered."""

    __tablename__ = "approval_grants"
    __table_args__ = (Index("approval_grants_by_owner", "owner", "session"),)

    id: str = Field(primary_key=True)
    owner: str
    session: str
    person: str
    agent: str
    tool: str
    likeness: str
    at: int = Field(sa_type=BigInteger)


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
