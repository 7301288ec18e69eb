"""MCP servers: the tools that were approved, and grants of OAuth."""

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Tables follow with the part."""
