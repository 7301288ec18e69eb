"""Search over what a space holds: the words of all its sessions, and its memories."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

SearchKind = Literal["message", "memory"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A text that was found, the best first."""

    kind: SearchKind
    ref: str
    """A memory's id; of a message "<session's row>/<seq>"."""
    at: datetime
    text: str
    score: float
    """Comparable within one search only, but for `share`."""
    share: float = 0.0
    """How much of the question's weight its words have, from 0 to 1: a threshold that holds for any question."""
    session: str = ""
    """Of a message: its session's key, its place there, and who said it ("user", "assistant")."""
    seq: int = 0
    who: str = ""
    before: tuple["Hit", ...] = ()
    """What was said before it, the oldest first, and after it, where the search asked for neighbours."""
    after: tuple["Hit", ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchWish:
    """What is searched, and where. `now`: from which moment "yesterday" and "last March" count."""

    owner: str
    query: str
    now: datetime
    kinds: tuple[SearchKind, ...] = ("message",)
    limit: int = 10
    before: datetime | None = None
    after: datetime | None = None
    session: str | None = None
    """Messages of this session only."""
    neighbours: int = 0
    """How many messages before and after each found one are given with it."""


class Search(Protocol):
    """Finds what belongs to one owner, never anything of another. Raises StoreUnavailable.

    Any text is a valid query: it has no syntax. What was said or stored before the call is found. A query without words that could be found gives
    nothing.
    """

    async def search(self, wish: SearchWish) -> Sequence[Hit]: ...
