"""Schedules and their occurrences."""

# pyright: reportAssignmentType=false
# SQLAlchemy declares `__tablename__` as a descriptor; a plain string is what SQLModel documents.

from sqlalchemy import BigInteger, Column, Index
from sqlmodel import Field, SQLModel

from assistant.store.tables.columns import where


class ScheduleRow(SQLModel, table=True):
    """A schedule (`payload`: JSON of `NewSchedule`). `next_at`: the next instant of its rule, computed with the time zones of version `zones`.
    `last`: the last instant that was claimed. `untold`: 1 while its failures are to be told. `watch`: what a watch saw last."""

    __tablename__ = "schedules"
    __table_args__ = (
        Index("schedules_by_owner", "owner", "created", "id"),
        Index("schedules_ended", "ended"),
        where("schedules_next", "next_at", rows="state = 'active' AND next_at IS NOT NULL"),
        where("schedules_untold", "id", rows="untold = 1"),
    )

    id: str = Field(primary_key=True)
    owner: str
    state: str
    created: int = Field(sa_type=BigInteger)
    ended: int | None = Field(sa_type=BigInteger)
    next_at: int | None = Field(sa_type=BigInteger)
    last: int | None = Field(sa_type=BigInteger)
    zones: str
    failures: int
    untold: int
    watch: str | None
    payload: str


class OccurrenceRow(SQLModel, table=True):
    """One instant of a schedule, and how it ended. `ref`: the id of its delivery, turn or job. `runner`: the process that works on it (NULL: the
    outbox, or none). `root`: of an extra one, the instant that it repeats; `round`: how often it came before. `material`: what a watch found."""

    __tablename__ = "occurrences"
    __table_args__ = (
        Index("occurrences_by_id", "id", unique=True),
        Index("occurrences_ended", "ended"),
        where("occurrences_by_ref", "ref", rows="ref IS NOT NULL"),
        where("occurrences_waiting", "instant", rows="state = 'waiting'"),
        where("occurrences_held", "runner", rows="state = 'claimed'"),
    )

    schedule: str = Field(foreign_key="schedules.id", ondelete="CASCADE", primary_key=True)
    instant: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    id: str
    state: str
    started: int | None = Field(sa_type=BigInteger)
    ended: int | None = Field(sa_type=BigInteger)
    ref: str | None
    runner: str | None
    crashes: int
    root: int | None = Field(sa_type=BigInteger)
    round: int
    material: str | None
    error: str | None
