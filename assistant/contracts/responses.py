"""The port to responses: what was sent to POST /v1/responses and what was answered, kept so that it can be shown, and gone on with."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, Literal, Protocol

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


class ResponseStore(Protocol):
    """Responses by (owner, id), kept until they are deleted or purged, and the files that were sent with them as long.

    Every write is durable when the call returns. Raises StoreUnavailable.
    """

    async def begin(self, owner: str, response: KeptResponse, files: Sequence[SentFile] = ()) -> None:
        """Keep a response that is going to be answered by this process. The uploads stay the caller's."""
        ...

    async def finish(self, owner: str, response_id: str, body: Item) -> None:
        """Keep how it ended. Does nothing where it was deleted meanwhile."""
        ...

    async def get(self, owner: str, response_id: str) -> KeptResponse | None: ...

    async def chain(self, owner: str, response_id: str) -> Sequence[KeptResponse]:
        """The response and those that it goes on from, the oldest first; as far back as none of them is missing, and no further than
        LONGEST_CHAIN and MOST_CHAIN_CHARS. Empty: there is no such response."""
        ...

    async def file(self, owner: str, file_id: str) -> tuple[str, Path] | None:
        """What a file that was sent is called, and where its bytes lie: to be read, and soon. None: there is no such file."""
        ...

    async def delete(self, owner: str, response_id: str) -> bool:
        """False: there was none."""
        ...

    async def recover(self) -> int:
        """Mark those that dead processes were answering as interrupted, and those whose end this one could not store; returns how many."""
        ...

    async def purge(self, before: datetime) -> int:
        """Remove those that were begun before; returns how many went."""
        ...
