"""What the servers under test stored, read beside them."""

import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assistant.store.database import StoreSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """The store in a home; `url`: of a PostgreSQL, None: the SQLite file there."""

    home: Path
    url: str | None = None

    @property
    def settings(self) -> StoreSettings:
        return StoreSettings(url=self.url)

    @property
    def configuration(self) -> dict[str, object]:
        """What a server's configuration needs for it."""
        return {"store": {"url": self.url}} if self.url else {}

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        if self.url is None:
            with sqlite3.connect(f"file:{self.home / 'nanobot.db'}?mode=ro", uri=True) as database:
                return database.execute(sql).fetchall()
        import psycopg

        with psycopg.connect(self.url, autocommit=True) as connection:
            return connection.execute(sql.encode()).fetchall()
