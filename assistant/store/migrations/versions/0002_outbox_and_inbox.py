"""The outbox and the inbox, pairings and the states of channels."""

import sqlalchemy as sa
from alembic import op

from assistant.store.migrations import ID, columns, index_where

revision = "0002"
down_revision = "0001"

_IN_LINE = "state = 'queued' AND yields = 0"
_YIELDING = "state = 'queued' AND yields = 1"


def upgrade() -> None:
    _outbox()
    _inbox()
    op.create_table(
        "pairings",
        sa.Column("channel", sa.String, primary_key=True),
        sa.Column("sender_id", sa.String, primary_key=True),
        *columns(sa.String, "sender_name", "chat_id"),
        sa.Column("code", sa.String),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("expires", sa.BigInteger),
    )
    op.create_table(
        "channel_states",
        sa.Column("runner", sa.String, primary_key=True),
        sa.Column("name", sa.String, primary_key=True),
        *columns(sa.String, "state", "detail"),
        sa.Column("since", sa.BigInteger, nullable=False),
    )


def _outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("seq", ID, primary_key=True, autoincrement=True),
        *columns(sa.String, "id", "channel", "lane", "owner", "state"),
        sa.Column("yields", sa.Integer, nullable=False),
        *columns(sa.BigInteger, "due", "expires", "created"),
        sa.Column("ended", sa.BigInteger),
        *columns(sa.Integer, "attempts", "held", "fence"),
        sa.Column("runner", sa.String),
        sa.Column("lease", sa.BigInteger),
        *columns(sa.String, "trouble_code", "trouble_words", nullable=True),
        sa.Column("maybe_duplicate", sa.Integer, nullable=False),
        sa.Column("payload", sa.String, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("outbox_by_id", "outbox", ["id"], unique=True)
    op.create_index("outbox_by_owner", "outbox", ["owner", "seq"])
    op.create_index("outbox_by_channel", "outbox", ["channel", "state", "seq"])
    op.create_index("outbox_ended", "outbox", ["ended"])
    index_where("outbox_in_line", "outbox", ["lane", "seq"], _IN_LINE)
    index_where("outbox_yielding", "outbox", ["due", "lane"], _YIELDING)
    index_where("outbox_yielding_by_lane", "outbox", ["lane", "due"], _YIELDING)
    index_where("outbox_sending", "outbox", ["lane"], "state = 'sending'", unique=True)
    index_where("outbox_expiring", "outbox", ["expires"], "state = 'queued'")
    op.create_table(
        "outbox_parts",
        sa.Column("event", ID, sa.ForeignKey("outbox.seq", ondelete="CASCADE"), primary_key=True, autoincrement=False),
        sa.Column("place", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("body", sa.String, nullable=False),
        sa.Column("started", sa.BigInteger),
        sa.Column("receipt_id", sa.String),
        sa.Column("receipt_at", sa.BigInteger),
    )
    op.create_table(
        "outbox_media",
        sa.Column("event", ID, sa.ForeignKey("outbox.seq", ondelete="CASCADE"), primary_key=True, autoincrement=False),
        sa.Column("digest", sa.String, primary_key=True),
    )
    op.create_index("outbox_media_by_digest", "outbox_media", ["digest"])


def _inbox() -> None:
    op.create_table(
        "inbox",
        sa.Column("seq", ID, primary_key=True, autoincrement=True),
        *columns(sa.String, "id", "channel", "external_id", "owner", "session", "role", "state"),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("ended", sa.BigInteger),
        *columns(sa.String, "turn", "runner", nullable=True),
        sa.Column("crashes", sa.Integer, nullable=False),
        sa.Column("preview", sa.String),
        sa.Column("payload", sa.String, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("inbox_by_external_id", "inbox", ["channel", "external_id"], unique=True)
    op.create_index("inbox_by_turn", "inbox", ["turn"])
    op.create_index("inbox_ended", "inbox", ["ended"])
    index_where("inbox_waiting", "inbox", ["owner", "session", "seq"], "state = 'waiting'")
    index_where("inbox_taken", "inbox", ["owner", "session"], "state = 'taken'")
    op.create_table(
        "chats",
        sa.Column("channel", sa.String, primary_key=True),
        sa.Column("chat_id", sa.String, primary_key=True),
        sa.Column("external_id", sa.String, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
    )
