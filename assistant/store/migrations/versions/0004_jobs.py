"""Jobs: runs of workflows, and their nodes. Their session's turns are not settled as long as their node runs."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("owner", sa.String, nullable=False),
        sa.Column("workflow", sa.String, nullable=False),
        sa.Column("state", sa.String, nullable=False),
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
    unended = sa.text("ended IS NULL")
    op.create_index("jobs_at_work", "jobs", ["runner"], sqlite_where=unended, postgresql_where=unended)
    op.create_table(
        "job_nodes",
        sa.Column("job", sa.String, sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("path", sa.String, primary_key=True),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("starts", sa.Integer, nullable=False),
        sa.Column("turn", sa.String, nullable=False),
        sa.Column("started", sa.BigInteger, nullable=False),
        sa.Column("ended", sa.BigInteger),
        sa.Column("output", sa.String),
        sa.Column("error", sa.String),
    )
    running = sa.text("state = 'running'")
    op.create_index("job_nodes_running", "job_nodes", ["turn"], sqlite_where=running, postgresql_where=running)
