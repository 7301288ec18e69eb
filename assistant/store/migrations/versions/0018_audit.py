"""The journal of effects, and whose words each conversation holds."""

import sqlalchemy as sa
from alembic import op

from assistant.store.migrations import columns

revision = "0018"
down_revision = "0017"

# As `contracts.own_words.sources` finds it. A conversation that was summed up holds all that was said in it; 9: a file, and a tool.
HAD_READ = """
    UPDATE sessions SET read = 9 WHERE EXISTS (
        SELECT 1 FROM messages WHERE messages.session_id = sessions.id
            AND (seq >= context_from OR EXISTS (
                SELECT 1 FROM summaries WHERE summaries.session_id = sessions.id AND summaries.seq = sessions.context_from))
            AND (payload LIKE '%"kind":"document"%' OR payload LIKE '%"kind":"image"%' OR payload LIKE '%"quoted"_true%'
                OR (role = 'tool' AND payload NOT LIKE '%"name":"remember"%' AND payload NOT LIKE '%"name":"recall"%'
                    AND payload NOT LIKE '%"name":"forget"%' AND payload NOT LIKE '%"name":"message"%'
                    AND payload NOT LIKE '%"name":"schedule"%')))"""


def upgrade() -> None:
    op.create_table(
        "audit",
        sa.Column("at", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("id", sa.String, primary_key=True),
        *columns(sa.String, "owner", "session", "turn", "agent", "cause", "cause_id", "caller", "tool", "kind", "text", "ref"),
        sa.Column("read", sa.Integer, nullable=False),
        sa.Column("approval", sa.String, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("audit_by_owner", "audit", ["owner", "at"])
    op.add_column("sessions", sa.Column("read", sa.Integer, nullable=False, server_default="0"))
    op.execute(HAD_READ)
