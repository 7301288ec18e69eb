"""Backups: one file that holds what the assistant keeps, the same for SQLite and PostgreSQL."""
