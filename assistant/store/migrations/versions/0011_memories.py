"""Memories, their index, and what was forgotten."""

from assistant.store.migrations.memory_tables import create_memory_tables
from assistant.store.migrations.search_tables import create_search_tables

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    create_memory_tables()
    create_search_tables()
