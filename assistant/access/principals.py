"""Who asks, once that is known."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Someone whom the server knows. Sessions belong to their maker's id."""

    id: str


OWNER = Principal(id="local")
"""Whoever runs the server. The same with a key and without, so that setting a key later leaves every session with its owner."""


class Access(Protocol):
    """One way of telling who asks.

    `identify` takes the value of the Authorization header as it came (None: there was none) and returns who that is.
    Raises Unauthenticated. Never blocks.
    """

    def identify(self, authorization: bytes | None) -> Principal: ...
