"""What is first in the lines of a channel is found without those of others."""

from assistant.store.migrations import index_where

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    index_where("outbox_lines", "outbox", ["channel", "lane"], "state = 'queued' AND yields = 0")
