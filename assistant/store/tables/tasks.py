"""Background tasks."""

# pyright: reportAssignmentType=false
# SQLAlchemy declares `__tablename__` as a descriptor; a plain string is what SQLModel documents.

from sqlalchemy import BigInteger, Index
from sqlmodel import Field, SQLModel

from assistant.store.tables.columns import where


class TaskRow(SQLModel, table=True):
    """A helper's turn or a command that runs on (`payload`: JSON of `NewTask`; `outcome`: JSON of `TaskOutcome`). `session`, `parent`: the session
    and the turn that asked. `turn`: its own; a turn by that id is not settled as long as the task runs. `runner`: the process that works on it.
    `cancel`: 1 when it is to be stopped. `handover`: as in the contract;
    `continuation`: the id of what hands it over."""

    __tablename__ = "tasks"
    __table_args__ = (
        Index("tasks_by_owner", "owner", "created", "id"),
        Index("tasks_ended", "ended"),
        where("tasks_open", "handover", "state", rows="handover IN ('', 'kept')"),
        where("tasks_by_turn", "turn", rows="ended IS NULL"),
    )

    id: str = Field(primary_key=True)
    owner: str
    kind: str
    state: str
    runner: str | None
    cancel: int
    background: int
    attempt: int
    crashes: int
    depth: int
    created: int = Field(sa_type=BigInteger)
    started: int | None = Field(sa_type=BigInteger)
    deadline: int | None = Field(sa_type=BigInteger)
    ended: int | None = Field(sa_type=BigInteger)
    session: str
    parent: str
    turn: str
    handover: str
    continuation: str | None
    payload: str
    outcome: str | None
