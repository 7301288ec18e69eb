"""Jobs of workflows."""

# pyright: reportAssignmentType=false
# SQLAlchemy declares `__tablename__` as a descriptor; a plain string is what SQLModel documents.

from sqlalchemy import BigInteger, Index
from sqlmodel import Field, SQLModel

from assistant.store.tables.columns import where


class JobRow(SQLModel, table=True):
    """A run of a workflow. `payload`: JSON, what it was started with; `results`: JSON, its outputs. `runner`: the process that holds it, NULL when
    none does. `cancel`: 1 when it is to be cancelled."""

    __tablename__ = "jobs"
    __table_args__ = (
        Index("jobs_by_owner", "owner", "id"),
        Index("jobs_ended", "ended"),
        where("jobs_at_work", "runner", rows="ended IS NULL"),
    )

    id: str = Field(primary_key=True)
    owner: str
    workflow: str
    state: str
    runner: str | None
    cancel: int
    created: int = Field(sa_type=BigInteger)
    ended: int | None = Field(sa_type=BigInteger)
    error: str | None
    payload: str
    results: str | None


class JobNodeRow(SQLModel, table=True):
    """A started node of a job, and its `output` (JSON). `turn`: the id of what happens in it; a turn by that id is not settled
    as long as the node runs."""

    __tablename__ = "job_nodes"
    __table_args__ = (where("job_nodes_running", "turn", rows="state = 'running'"),)

    job: str = Field(foreign_key="jobs.id", ondelete="CASCADE", primary_key=True)
    path: str = Field(primary_key=True)
    state: str
    starts: int
    turn: str
    started: int = Field(sa_type=BigInteger)
    ended: int | None = Field(sa_type=BigInteger)
    output: str | None
    error: str | None
