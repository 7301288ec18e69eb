"""Messages that a platform sends in pieces (an album: a message for each photo) as one, where it does not say how many there are."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from assistant.contracts.records import record

P = TypeVar("P")
QUIET: Final = 0.7
"""Seconds without a further piece after which an album counts as complete."""


@record
class Piece(Generic[P]):
    """Something of a platform, and where it belongs. `number`: grows with time."""

    number: int
    chat: Hashable
    album: Hashable | None
    """None: it is whole."""
    it: P


def sort_pieces(
    pieces: Sequence[Piece[P]], growing_before: Mapping[Hashable, int], most: int
) -> tuple[list[list[Piece[P]]], Mapping[Hashable, int], int | None]:
    """By what can be done with the answer of a poll: single pieces and whole albums, in order; the albums that may still grow, with how many there
    are; the first number to fetch again: of a growing album, or behind one in its chat.

    An album is complete when it has not grown since the last answer, or can't grow (`most`).
    """
    albums: dict[Hashable, list[Piece[P]]] = {}
    for piece in pieces:
        if piece.album is not None:
            albums.setdefault(piece.album, []).append(piece)
    growing = {key: len(found) for key, found in albums.items() if len(found) < most and growing_before.get(key) != len(found)}
    ready: list[list[Piece[P]]] = []
    held: list[int] = []
    held_chats: set[Hashable] = set()
    for piece in pieces:
        if piece.album in growing or piece.chat in held_chats:
            held_chats.add(piece.chat)
            held.append(piece.number)
        elif piece.album is None:
            ready.append([piece])
        elif found := albums.pop(piece.album, None):
            ready.append(found)
    return ready, growing, min(held, default=None)


@dataclass(slots=True)
class _Growing(Generic[P]):
    pieces: dict[int, Piece[P]] = field(default_factory=dict[int, Piece[P]])
    grown: asyncio.Event = field(default_factory=asyncio.Event)
    taken: asyncio.Task[None] | None = None


class CalledAlbums(Generic[P]):
    """For platforms that call us, where the pieces come in calls of their own, side by side."""

    def __init__(self, take: Callable[[Sequence[P]], Awaitable[None]], most: int) -> None:
        """`take`: is given what is whole."""
        self._take = take
        self._most = most
        self._albums: dict[Hashable, _Growing[P]] = {}

    async def add(self, piece: Piece[P]) -> None:
        """Returns when the whole album is taken, so that each of its calls is answered then. Raises what `take` raises."""
        if piece.album is None:
            await self._take([piece.it])
            return
        album = self._albums.get(piece.album)
        if album is None:
            album = self._albums[piece.album] = _Growing()
            album.taken = asyncio.create_task(self._complete(piece.album, album))
            album.taken.add_done_callback(lambda taken: taken.cancelled() or taken.exception())  # the callers may be gone
        album.pieces[piece.number] = piece
        album.grown.set()
        assert album.taken is not None
        await asyncio.shield(album.taken)

    async def _complete(self, key: Hashable, album: _Growing[P]) -> None:
        """Waits until the album has stopped growing, or can't grow."""
        with contextlib.suppress(TimeoutError):
            while len(album.pieces) < self._most:
                album.grown.clear()
                await asyncio.wait_for(album.grown.wait(), QUIET)
        del self._albums[key]
        await self._take([album.pieces[number].it for number in sorted(album.pieces)])
