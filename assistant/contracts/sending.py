"""Limits and checks of messages to be sent, for the `message` tool, the API and the command line."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

from assistant.contracts.errors import InvalidRequest
from assistant.contracts.outbox import Button, ButtonRows

MAX_CHARS: Final = 100_000
"""Of a message; platforms get it in parts."""
MAX_FILES: Final = 10
MAX_FILE_BYTES: Final = 50_000_000
"""Telegram's limit; a channel with a lower one refuses the message."""
MAX_AHEAD: Final = timedelta(days=366)


class ButtonAsked(BaseModel):
    """A button with a link. (One without is written as its text alone.)"""

    model_config = ConfigDict(extra="forbid")

    text: Annotated[str, Field(min_length=1, max_length=100)] = Field(description="What the button says.")
    url: Annotated[str, Field(max_length=2000, pattern=r"^https?://\S+$")] | None = Field(
        None, description="The page it opens. Without: pressing it sends its text as the user's next message."
    )


ButtonEither = Annotated[
    Annotated[str, Field(min_length=1, max_length=100), Tag("#text")] | Annotated[ButtonAsked, Tag("#object")],
    Discriminator(lambda button: "#text" if isinstance(button, str) else "#object"),
]
ButtonsAsked = Annotated[list[Annotated[list[ButtonEither], Field(min_length=1, max_length=8)]], Field(max_length=10)]
"""Rows of buttons."""


def button_rows(asked: Sequence[Sequence[str | ButtonAsked]]) -> ButtonRows:
    return tuple(
        tuple(Button(text=each) if isinstance(each, str) else Button(text=each.text, url=each.url) for each in row) for row in asked
    )


def read_time(text: str) -> datetime:
    """A time with its offset, by ISO 8601: "2026-01-31T09:00:00+01:00"; returned in UTC. Raises InvalidRequest."""
    try:
        at = datetime.fromisoformat(text.strip())
        if at.tzinfo is not None:
            return at.astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidRequest('The time must be written by ISO 8601, as in "2026-01-31T09:00:00+01:00".', param="at") from None
    words = f'The time "{text.strip()[:40]}" does not say where it holds: add the offset from UTC, as in "2026-01-31T09:00:00+01:00".'
    raise InvalidRequest(words, param="at")


def check_ahead(at: datetime, now: datetime) -> None:
    """Raises InvalidRequest for a time that is past, or more than a year away."""
    if at <= now:
        raise InvalidRequest(f"The time {at:%Y-%m-%dT%H:%M:%SZ} is past: it is {now:%Y-%m-%dT%H:%M:%SZ} now.", param="at")
    if at - now > MAX_AHEAD:
        raise InvalidRequest("The time is more than a year away.", param="at")


def check_words(text: str, *, files: int) -> None:
    """Raises InvalidRequest for a message without words and files, or with too much of either."""
    if not text.strip() and not files:
        raise InvalidRequest("The message is empty: it needs text or a file.", param="text")
    if len(text) > MAX_CHARS:
        raise InvalidRequest(
            f"The message has {len(text):,} characters; at most {MAX_CHARS:,} are sent. Send a file instead.", param="text"
        )
    if files > MAX_FILES:
        raise InvalidRequest(f"A message takes {MAX_FILES} files at most.", param="media")
