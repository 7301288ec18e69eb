"""Search over what a space holds: the words of all its sessions, and its memories."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Literal, Protocol

from assistant.contracts.records import record

SearchKind = Literal["message", "memory"]


@record
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


@record
class SearchWish:
    """What is searched, and where."""

    owner: str
    query: str
    kinds: tuple[SearchKind, ...] = ("message",)
    limit: int = 10
    now: datetime | None = None
    """From which moment, and by which clock, "yesterday" and "last March" count. None: now, by the owner's clock."""
    after: date | None = None
    """From this day or time on."""
    before: date | None = None
    """Up to this day or time, without it."""
    session: str | None = None
    """Messages of this session only."""
    leave_out: str = ""
    """The id of a turn whose messages are not wanted: that in which is searched."""
    neighbours: int = 0
    """How many messages before and after each found one are given with it; two at most."""


class Search(Protocol):
    """Finds what belongs to one owner, never anything of another. Raises StoreUnavailable.

    Any text is a valid query: it has no syntax. What was said or stored before the call is found. A query without words that could be found, and
    without a time, gives nothing. The times of hits are by the owner's clock.
    """

    async def search(self, wish: SearchWish) -> Sequence[Hit]: ...


class NoSearch:
    """For what runs without a store: finds nothing."""

    async def search(self, wish: SearchWish) -> Sequence[Hit]:
        return ()
