"""The port to responses: what was sent to POST /v1/responses and what was answered, kept so that it can be shown, and gone on with."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from assistant.contracts.documents import ReadDocument, ReadImage
from assistant.contracts.errors import NotFound
from assistant.contracts.messages import Json
from assistant.contracts.turns import Upload

ResponseState = Literal["running", "ended", "interrupted"]
Item = dict[str, Json]
"""What was said, as the API lists it: a message, a call of a function, a function's output."""
LONGEST_CHAIN: Final = 1_000
"""Responses that are looked back on."""
MOST_CHAIN_CHARS: Final = 32 * 1024 * 1024
"""Characters of JSON that are looked back on."""


class ResponseNotFound(NotFound):
    """There is no such response."""

    code = "response_not_found"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptResponse:
    """A response, as kept."""

    id: str
    """`resp_…`"""
    previous: str | None
    """The id of the response that it goes on from, by which its conversation is found."""
    session: str | None
    """The key of the session that it was made in: that is its conversation then. None: it is no part of a session."""
    at: datetime
    state: ResponseState = "running"
    """running: being answered. ended: `body` is how it ended. interrupted: the process that answered it
    died, or could not store the end."""
    input: tuple[Item, ...]
    body: Item
    """OpenAI's response object, as it was when it began, or ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SentFile:
    """A file that came with a response's input, which names it by this id."""

    id: str
    """`file_…`"""
    upload: Upload
    read: ReadDocument | ReadImage
