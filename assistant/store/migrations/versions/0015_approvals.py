"""Approvals: calls that wait for a person's yes, what was allowed for a session, and the continuations of sessions."""

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Tables follow with the part."""
