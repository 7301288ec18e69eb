"""The tables: the schema's one truth. Alembic compares the migrations with them; nothing imports them at run time.

Times are microseconds since 1970, UTC. Text columns hold no NUL (PostgreSQL takes none): payloads are JSON, names and keys are escaped.
"""

from sqlmodel import SQLModel

from assistant.store.tables import api, approvals, audit, delivery, jobs, ledger, mcp, memory, people, schedules, search, sessions, tasks

__all__ = [
    "SQLModel",
    "api",
    "approvals",
    "audit",
    "delivery",
    "jobs",
    "ledger",
    "mcp",
    "memory",
    "people",
    "schedules",
    "search",
    "sessions",
    "tasks",
]
