"""A message to a person: their chats, which they prefer, and what follows where one fails; reports of platforms; notes of channels."""

import sqlalchemy as sa
from alembic import op

from assistant.store.migrations import columns, index_where

revision = "0019"
down_revision = "0018"

# Private chats are known by their senders from now on; before, by the pairing, and where the chat has the sender's id.
OF_PAIRED = """
    UPDATE chats SET identity = (
        SELECT pairings.channel || ':' || MIN(pairings.sender_id) FROM pairings
        WHERE pairings.channel = chats.channel AND pairings.chat_id = chats.chat_id AND pairings.code IS NULL GROUP BY pairings.channel)"""
OF_SENDERS = """
    UPDATE chats SET identity = channel || ':' || chat_id
    WHERE identity IS NULL AND channel || ':' || chat_id IN (SELECT identity FROM identities)"""


def upgrade() -> None:
    op.create_table(
        "channel_notes",
        sa.Column("channel", sa.String, primary_key=True),
        sa.Column("key", sa.String, primary_key=True),
        sa.Column("value", sa.String, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
    )
    op.create_index("channel_notes_by_age", "channel_notes", ["channel", "at"])
    for column in columns(sa.BigInteger, "reached_at", "read_at", nullable=True):
        op.add_column("outbox_parts", column)
    index_where("outbox_parts_by_receipt", "outbox_parts", ["receipt_id"], "receipt_id IS NOT NULL")
    op.add_column("outbox", sa.Column("follows", sa.Integer, nullable=False, server_default="0"))
    index_where("outbox_to_follow", "outbox", ["seq"], "follows = 1 AND state IN ('failed', 'expired')")
    op.add_column("people", sa.Column("prefers", sa.String))
    op.add_column("chats", sa.Column("identity", sa.String))
    op.create_index("chats_by_identity", "chats", ["identity"])
    for statement in (OF_PAIRED, OF_SENDERS):
        op.execute(statement)
