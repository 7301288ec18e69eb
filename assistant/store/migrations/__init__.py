"""The schema's history (Alembic), and `sqlite.sql` and `postgresql.sql`: its newest state, from which a new store is made at once."""
