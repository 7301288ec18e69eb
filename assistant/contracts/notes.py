"""Small durable notes of a channel."""

from typing import Final, Protocol

MOST_NOTE_KEY: Final = 256
"""Characters of a note's key."""
MOST_NOTE_BYTES: Final = 65_536
MOST_NOTES: Final = 100_000
"""Of a channel; the oldest are dropped."""


class ChannelNotes(Protocol):
    """What an adapter has to remember over restarts: a sync token, a conversation reference, when a person last wrote. Small texts by key, durable,
    of this channel alone. Raises StoreUnavailable."""

    async def get(self, key: str) -> str | None: ...

    async def keep(self, key: str, value: str) -> None:
        """Keep a text, in place of an earlier one. Raises ValueError for a key of more than 256 characters, or a value of more than 64 KiB."""
        ...

    async def drop(self, key: str) -> None: ...


def check_note(key: str, value: str) -> None:
    """Raises ValueError; see `ChannelNotes.keep`."""
    if not 0 < len(key) <= MOST_NOTE_KEY or len(value.encode(errors="replace")) > MOST_NOTE_BYTES:
        raise ValueError(f"a note has a key of 1 to {MOST_NOTE_KEY} characters and a value of at most {MOST_NOTE_BYTES} bytes")


class NotesInMemory:
    """Implements `ChannelNotes` without a store: for what runs once, and for tests."""

    def __init__(self) -> None:
        self._kept: dict[str, str] = {}

    async def get(self, key: str) -> str | None:
        return self._kept.get(key)

    async def keep(self, key: str, value: str) -> None:
        check_note(key, value)
        self._kept.pop(key, None)
        self._kept[key] = value
        if len(self._kept) > MOST_NOTES:
            del self._kept[next(iter(self._kept))]

    async def drop(self, key: str) -> None:
        self._kept.pop(key, None)
