"""The port to files that their owner uploads once and names in requests."""

from dataclasses import dataclass
from datetime import datetime

from assistant.contracts.errors import NotFound


class NoSuchFile(NotFound):
    """There is no such file. GET /v1/files lists those there are."""

    code = "file_not_found"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptFile:
    """An uploaded file, as listed."""

    id: str
    """`file_…`"""
    name: str
    """For display only."""
    purpose: str
    size: int
    at: datetime
