"""The tables of jobs; as in `tables`."""

# pyright: reportAssignmentType=false
# SQLAlchemy declares `__tablename__` as a descriptor; a plain string is what SQLModel documents.

from sqlalchemy import BigInteger, Column, ForeignKey, Index, String, text
from sqlmodel import Field, SQLModel

_UNENDED = text("ended IS NULL")
_RUNNING = text("state = 'running'")


class JobRow(SQLModel, table=True):
    """A run of a workflow. `payload`: JSON, what it was started with; `results`: JSON, its outputs. `runner`: the process that holds it, NULL when
    it let go of it. `cancel`: 1 when it is to be cancelled."""

    __tablename__ = "jobs"
    __table_args__ = (
        Index("jobs_by_owner", "owner", "id"),
        Index("jobs_ended", "ended"),
        Index("jobs_at_work", "runner", sqlite_where=_UNENDED, postgresql_where=_UNENDED),
    )

    id: str = Field(primary_key=True)
    owner: str
    workflow: str
    state: str
    runner: str | None
    cancel: int
    created: int = Field(sa_column=Column(BigInteger, nullable=False))
    ended: int | None = Field(sa_column=Column(BigInteger, nullable=True))
    error: str | None
    payload: str
    results: str | None


class JobNodeRow(SQLModel, table=True):
    """A node of a job that was begun, and what it gave (`output`: JSON). `turn`: the id of what happens in it; a turn by that id is not settled
    as long as the node runs."""

    __tablename__ = "job_nodes"
    __table_args__ = (Index("job_nodes_running", "turn", sqlite_where=_RUNNING, postgresql_where=_RUNNING),)

    job: str = Field(sa_column=Column(String, ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False, primary_key=True))
    path: str = Field(primary_key=True)
    state: str
    starts: int
    turn: str
    started: int = Field(sa_column=Column(BigInteger, nullable=False))
    ended: int | None = Field(sa_column=Column(BigInteger, nullable=True))
    output: str | None
    error: str | None
