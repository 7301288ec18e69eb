"""What a source offers: sessions, memories, schedules, files and settings, each with an id of its own there."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import field
from datetime import datetime
from pathlib import PurePosixPath
from typing import BinaryIO, Final, Literal

from assistant.contracts.messages import Json
from assistant.contracts.records import record
from assistant.contracts.schedules import Rule

_MOST_LINES: Final = 200
"""Lines of what was skipped that are kept; the others are counted."""


class CannotImport(Exception):
    """The path is no such source; `str(error)` says why, and what to give instead."""


class Skips:
    """What was left out, and why: a line each."""

    def __init__(self) -> None:
        self.lines: dict[str, None] = {}
        self.more = 0

    def add(self, what: str, why: str) -> None:
        line = f"{what}: {why}"
        if line in self.lines:
            return
        if len(self.lines) < _MOST_LINES:
            self.lines[line] = None
        else:
            self.more += 1


@record
class FoundFile:
    """A file of the source. Nothing of it is read before it is opened."""

    name: str
    """In the source, with "/" between its parts."""
    size: int
    open: Callable[[], AbstractContextManager[BinaryIO]]
    """Raises OSError, ValueError (a broken or oversized entry of an archive)."""


@record
class FoundMessage:
    id: str
    """In its session."""
    role: Literal["user", "assistant"]
    at: datetime | None
    text: str
    files: tuple[FoundFile, ...] = ()
    model: str = ""


@record
class FoundSession:
    id: str
    """In the source, the same in each export of it."""
    title: str
    at: datetime | None
    messages: tuple[FoundMessage, ...]


@record
class FoundMemory:
    """A statement that the source remembered: a suggestion here."""

    text: str
    at: datetime | None = None


@record
class FoundSchedule:
    id: str
    rule: Rule
    zone: str
    """Empty: not said."""
    text: str
    """What the assistant is asked when it is due."""
    to: str = ""
    """The chat that its answer went to: "telegram:42"."""


@record
class FoundSettings:
    """Keys that mean the same here."""

    values: Mapping[tuple[str, ...], Json] = field(default_factory=dict[tuple[str, ...], Json])
    secrets: Mapping[str, str] = field(default_factory=dict[str, str])
    """By the variables that `values` refer to."""
    off: Sequence[str] = ()
    """Channels that were on there, and are imported switched off: two servers must not read the same account."""


class Source:
    """What is in a source. Each call reads it anew; what can't be read is added to `skips`. Raises CannotImport where nothing can be."""

    name: str

    def __init__(self) -> None:
        self.skips = Skips()

    def sessions(self) -> Iterator[FoundSession]:
        return iter(())

    def memories(self) -> Iterator[FoundMemory]:
        return iter(())

    def schedules(self) -> Iterator[FoundSchedule]:
        return iter(())

    def files(self) -> Iterator[tuple[PurePosixPath, FoundFile]]:
        """Files of the workspace, each with its path there, which leads out of no folder."""
        return iter(())

    def settings(self) -> FoundSettings:
        return FoundSettings()

    def close(self) -> None:
        """Let go of what was opened. Safe to call twice."""
