"""Jobs: runs of workflows, and their nodes. Their session's turns are not settled as long as their node runs."""

import sqlalchemy as sa
from alembic import op

from assistant.store.migrations import columns, index_where

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", sa.String, primary_key=True),
        *columns(sa.String, "owner", "workflow", "state"),
        sa.Column("runner", sa.String),
        sa.Column("cancel", sa.Integer, nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("ended", sa.BigInteger),
        sa.Column("error", sa.String),
        sa.Column("payload", sa.String, nullable=False),
        sa.Column("results", sa.String),
    )
    op.create_index("jobs_by_owner", "jobs", ["owner", "id"])
    op.create_index("jobs_ended", "jobs", ["ended"])
    index_where("jobs_at_work", "jobs", ["runner"], "ended IS NULL")
    op.create_table(
        "job_nodes",
        sa.Column("job", sa.String, sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("path", sa.String, primary_key=True),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("starts", sa.Integer, nullable=False),
        sa.Column("turn", sa.String, nullable=False),
        sa.Column("started", sa.BigInteger, nullable=False),
        sa.Column("ended", sa.BigInteger),
        *columns(sa.String, "output", "error", nullable=True),
    )
    index_where("job_nodes_running", "job_nodes", ["turn"], "state = 'running'")
