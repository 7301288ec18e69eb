"""What model calls cost, and budgets."""

# pyright: reportAssignmentType=false
# SQLAlchemy declares `__tablename__` as a descriptor; a plain string is what SQLModel documents.

from sqlalchemy import BigInteger, Column
from sqlmodel import Field, SQLModel

from assistant.store.tables.columns import where


class LedgerRow(SQLModel, table=True):
    """A call of a model, kept in the order of time. `cost`: nanodollars, NULL where unknown. `estimate`: the tokens that were reserved. `runner`: the
    process that makes it."""

    __tablename__ = "ledger"
    __table_args__ = (
        where("ledger_reserved", "runner", rows="state = 'reserved'"),
        {"sqlite_with_rowid": False},
    )

    at: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    id: str = Field(primary_key=True)
    owner: str
    caller: str
    session: str
    agent: str
    cause: str
    cause_id: str
    operation: str
    provider: str
    model: str
    prompt_tokens: int = Field(sa_type=BigInteger)
    completion_tokens: int = Field(sa_type=BigInteger)
    cached_tokens: int = Field(sa_type=BigInteger)
    reasoning_tokens: int = Field(sa_type=BigInteger)
    cost: int | None = Field(sa_type=BigInteger)
    cost_source: str
    state: str
    estimate: int = Field(sa_type=BigInteger)
    runner: str | None


class BudgetRow(SQLModel, table=True):
    """A budget that was set by a command. `amount`: tokens, or nanodollars."""

    __tablename__ = "budgets"

    subject: str = Field(primary_key=True)
    period: str = Field(primary_key=True)
    unit: str = Field(primary_key=True)
    amount: int = Field(sa_type=BigInteger)


class BudgetWindowRow(SQLModel, table=True):
    """What a subject with a budget used since `start`, running calls included: the sum of its rows in the ledger, kept so that none is read."""

    __tablename__ = "budget_windows"

    subject: str = Field(primary_key=True)
    period: str = Field(primary_key=True)
    start: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    tokens: int = Field(sa_type=BigInteger)
    cost: int = Field(sa_type=BigInteger)
    noticed: int
