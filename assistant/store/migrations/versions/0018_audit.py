"""The journal of effects."""

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    """Tables follow with the part."""
