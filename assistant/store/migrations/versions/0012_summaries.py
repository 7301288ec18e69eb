"""Summaries at the cuts of a session, and the profile it began with."""

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    pass
