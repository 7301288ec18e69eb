"""Background tasks: child turns with a parent."""

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Tables follow with the part."""
