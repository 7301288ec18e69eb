"""Run by Alembic with the connection that `assistant.store.migrate` opened, inside its transaction."""

from alembic import context
from sqlalchemy import Connection

from assistant.store import tables

connection: Connection = context.config.attributes["connection"]
# SQLite alters few things in place: batch mode copies the table instead.
context.configure(connection=connection, target_metadata=tables.SQLModel.metadata, render_as_batch=connection.dialect.name == "sqlite")
context.run_migrations()
