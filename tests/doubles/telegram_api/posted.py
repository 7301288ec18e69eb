"""The ledger: what the stand-in accepted."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True, kw_only=True)
class SentFile:
    """A file as it was uploaded."""

    field: str
    name: str
    media_type: str
    data: bytes


@dataclass(slots=True, kw_only=True)
class Posted:
    """A message that the bot sent and the stand-in accepted."""

    message_id: int
    chat_id: int | str
    thread_id: int | None
    method: str
    text: str
    """What is seen: the text, or the caption, without its tags."""
    source: str
    """As it was sent."""
    parse_mode: str | None
    files: tuple[SentFile, ...] = ()
    reply_to: int | None = None
    buttons: list[list[dict[str, Any]]] = field(default_factory=list[list[dict[str, Any]]])
    link_preview: bool = True
    at: float = 0.0
    """Seconds since 1970, when it was accepted."""
    album: str | None = None
    edits: list[str] = field(default_factory=list[str])
    """What was seen after each edit."""
    edited_at: list[float] = field(default_factory=list[float])
    deleted: bool = False
    reactions: list[str] = field(default_factory=list[str])
