"""The port to the first answers: what makes a request that comes again get what it got, and do nothing twice."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from assistant.contracts.errors import NanobotError


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAnswer:
    """What was answered. `headers`: names in lower case, those that belong to the answer and not to one sending of it."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    """Of a stream: all its bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IdempotencyClaim:
    """Somebody's wish to be the first under a key. Keys are an owner's own: two owners' never meet."""

    id: str
    owner: str
    key: str
    fingerprint: str
    """Tells requests apart: hexadecimal, the same for a request and its repeats."""
    expires_at: datetime
    """From then on the key is as good as new."""


Claimed = Literal["taken", "running", "other", "interrupted", "not_kept"]
"""taken: the caller is the first, and ends it by `finish` or `release`. running: another process answers it now. other: the key stands for another
request. interrupted: the process that answered it died, or could not store how it ended: it may have acted. not_kept: it was answered, and the
answer was too large to be kept."""


class RepeatConflict(NanobotError):
    """This request is a repeat of one that can't be answered again."""

    status, type, code = 409, "conflict_error", "idempotency_in_progress"


class AnswerInProgress(RepeatConflict):
    """The request that this one repeats is still being answered by another process. Repeat it later."""


class AnswerInterrupted(RepeatConflict):
    """The server broke off while it answered the request that this one repeats. It may have acted: see in its session or its deliveries how far
    it came. Nothing was done now. To ask anew, send it as a new request (with a new Idempotency-Key)."""

    code = "idempotency_interrupted"


class AnswerNotKept(RepeatConflict):
    """The request that this one repeats was answered, and its answer was too large to be kept. Nothing was done now. To ask anew, send it as
    a new request (with a new Idempotency-Key)."""

    code = "idempotency_answer_not_kept"
