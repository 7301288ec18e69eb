"""What a database must offer the store: a connection that runs SQL, in a transaction that its worker opens and closes."""

from collections.abc import Mapping
from typing import Any, Literal, Protocol

Dialect = Literal["sqlite", "postgresql"]
Value = None | int | float | str | bytes
Row = tuple[Any, ...]
WRITER_LOCK = 0x6E616E6F626F74
"""PostgreSQL's advisory lock that a writer holds until its transaction ends ("nanobot" in ASCII)."""
NO_PARAMS: Mapping[str, Value] = {}


class Connection(Protocol):
    """What a job works with. It must not keep it: the transaction ends with the job's batch."""

    @property
    def dialect(self) -> Dialect: ...

    def execute(self, sql: str, params: Mapping[str, Value] = NO_PARAMS) -> list[Row]:
        """Run one statement with parameters `:name` and return its rows, all of them; none for a statement that gives none.

        Raises StoreUnavailable (with the reason in words) when the database can't do it now, the driver's own error when the statement is wrong.
        """
        ...


class Link(Connection, Protocol):
    """An open connection, owned by one thread. Each method raises StoreUnavailable like `execute`."""

    def begin(self) -> None:
        """Open a transaction. For writing: wait (bounded) until no other process writes, and keep them out until it ends."""
        ...

    def commit(self) -> None:
        """Make everything since `begin` durable."""
        ...

    def rollback(self) -> None:
        """Forget everything since `begin`; harmless where no transaction is open. Any failure is StoreUnavailable: the link is done with."""
        ...

    def close(self) -> None: ...

    @property
    def lost(self) -> bool:
        """Whether the connection is beyond repair and a new one is needed."""
        ...


class Engine(Protocol):
    """A kind of database at an address."""

    @property
    def dialect(self) -> Dialect: ...

    def connect(self, *, writes: bool) -> Link:
        """Open a connection; one that does not write refuses to. Raises StoreUnavailable."""
        ...
