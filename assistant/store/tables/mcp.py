"""MCP servers: the tools they list and those that were approved, and grants of OAuth."""

# pyright: reportAssignmentType=false
# SQLAlchemy declares `__tablename__` as a descriptor; a plain string is what SQLModel documents.

from sqlalchemy import BigInteger
from sqlmodel import Field, SQLModel


class McpServerRow(SQLModel, table=True):
    """A server of the configuration as it was seen last.

    `origin`: the hash of its command or URL: another one is another server. `listed`, `approved`: its tools, JSON. `offers`: what it has besides
    tools, JSON. `revision`: raised by each change; other processes compare it.
    """

    __tablename__ = "mcp_servers"

    name: str = Field(primary_key=True)
    origin: str
    listed: str
    approved: str
    offers: str
    revision: int = Field(sa_type=BigInteger)
    at: int = Field(sa_type=BigInteger)


class McpGrantRow(SQLModel, table=True):
    """What a server's authorization server granted, JSON.

    `url`: the server's: it goes to no other. `claim`: who renews it now, until `until`; empty: no one does.
    """

    __tablename__ = "mcp_grants"

    name: str = Field(primary_key=True)
    url: str
    grant_json: str
    claim: str
    until: int = Field(sa_type=BigInteger)
