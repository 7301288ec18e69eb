"""What is kept: tables and migrations, sessions, attachments; SQLite and PostgreSQL by one code path."""
