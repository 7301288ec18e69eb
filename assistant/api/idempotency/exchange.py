"""First answers: recorded while they are sent, kept, and replayed to repeats."""

import asyncio
import logging
import re
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, Final, Literal

from python_multipart.multipart import parse_options_header
from starlette.types import Message, Scope, Send

from assistant.api.middleware.errors import FailedAfterActing, error_answer
from assistant.api.middleware.request import header, headers_named
from assistant.contracts import errors
from assistant.contracts.records import record
from assistant.contracts.util import new_id
from assistant.store.idempotency import IdempotencyClaim, IdempotencyStore, StoredAnswer

LONGEST_KEY: Final = 255
_KEY_FORM = re.compile(rb"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")


@record
class IdempotencyInfo:
    """How a request is recognised when it is sent again."""

    by: Literal["key", "first_try", "later_try"]
    key: str | None
    """The client's key; None: by its content."""
    keep: timedelta
    anew: bool
    """Whether it may simply be done again if the server died while doing it."""


def idempotency_key(scope: Scope) -> str | None:
    """The header's value. Raises InvalidRequest for an invalid one."""
    values = headers_named(scope, b"idempotency-key")
    if not values:
        return None
    key = values[0].strip(b" \t")
    if len(values) > 1 or len(key) > LONGEST_KEY or not _KEY_FORM.fullmatch(key):
        raise errors.InvalidRequest(
            f"Idempotency-Key must be one value of 1 to {LONGEST_KEY} printable ASCII characters.", param="Idempotency-Key"
        )
    return key.decode("ascii")


_MARK: Final = b"\r\n--\0"
"""Replaces a form's boundary."""
_CHOOSING: Final = (b"-agent-id", b"-session-key")
"""The ends of headers that choose the agent or session: x-nanobot-agent-id and its aliases."""


class Fingerprint:
    """The digest of a request, from its body in pieces: JSON byte by byte, a form without its boundary, which clients change for each try."""

    def __init__(self, scope: Scope) -> None:
        self._digest = sha256()
        content_type = header(scope, b"content-type") or b""
        media_type, options = parse_options_header(content_type) if content_type else (b"", {})
        boundary = options.get(b"boundary", b"") if media_type == b"multipart/form-data" else b""
        self._boundary = b"--" + boundary if boundary else b""
        self._held = b""
        choosing = sorted([(name, value) for name, value in scope["headers"] if name.endswith(_CHOOSING)])
        for field in (scope["method"].encode(), scope["path"].encode(), scope["query_string"], media_type, *sum(choosing, ())):
            self._digest.update(b"%d:" % len(field))
            self._digest.update(field)

    def add(self, piece: bytes) -> None:
        if not self._boundary:
            self._digest.update(piece)
            return
        *whole, rest = (self._held + piece).split(self._boundary)
        for part in whole:
            self._digest.update(part)
            self._digest.update(_MARK)
        safe = max(0, len(rest) - len(self._boundary) + 1)  # the rest may be the beginning of a boundary
        self._digest.update(rest[:safe])
        self._held = rest[safe:]

    def finish(self) -> str:
        self._digest.update(self._held)
        self._held = b""
        return self._digest.hexdigest()


MOST_BYTES: Final = 4 * 1024 * 1024
"""Of a body that is kept."""
REPLAYED: Final = (b"idempotency-replayed", b"true")
_OF_ONE_SENDING: Final = frozenset(
    {b"connection", b"date", b"openai-processing-ms", b"retry-after", b"retry-after-ms", b"transfer-encoding", b"x-request-id"}
)
_OF_ONE_SENDER: Final = (b"x-ratelimit-", b"access-control-")


class Recording:
    """The answer to the first request with a key. Any number of repeats can read it, from the beginning and as it comes."""

    def __init__(self, fingerprint: str) -> None:
        self.fingerprint = fingerprint
        self.decided = asyncio.Event()
        """Set when the store has confirmed that the key belongs to this request."""
        self.listeners = 0
        self.failure: type[errors.NanobotError] | None = None
        """Raised by `play` in place of the answer."""
        self._head: tuple[int, tuple[tuple[bytes, bytes], ...]] | None = None
        self._pieces: list[bytes] = []
        self._size = 0
        self._ended = False
        self._change = asyncio.Event()

    @property
    def answer(self) -> StoredAnswer | None:
        """The answer; None: it is incomplete, or too large to be kept."""
        if self._head is None or not self._ended or self.failure is not None:
            return None
        status, headers = self._head
        return StoredAnswer(status=status, headers=headers, body=b"".join(self._pieces))

    @property
    def worth_keeping(self) -> bool:
        """Not a refusal, or a failure before anything was done: a repeat tries again."""
        return self._head is not None and (self._head[0] < 400 or (b"x-should-retry", b"false") in self._head[1])

    def take(self, message: Message) -> None:
        """Record a message that is sent to the first client."""
        if message["type"] == "http.response.start":
            headers = [(bytes(name).lower(), bytes(value)) for name, value in message.get("headers", ())]
            self._head = (
                message["status"],
                tuple([each for each in headers if each[0] not in _OF_ONE_SENDING and not each[0].startswith(_OF_ONE_SENDER)]),
            )
        elif self.failure is None:
            self._pieces.append(message.get("body", b""))
            self._size += len(self._pieces[-1])
            if self._size > MOST_BYTES:
                self.fail(errors.AnswerNotKept)
        self._ended = self._ended or (message["type"] == "http.response.body" and not message.get("more_body", False))
        self._tell()

    def load(self, answer: StoredAnswer) -> None:
        """Take the answer from the store, or that of an error."""
        self._head, self._pieces = (answer.status, answer.headers), [answer.body]
        self._ended = True
        self._tell()

    def fail(self, error: type[errors.NanobotError]) -> None:
        """There will be no complete answer: readers get the error, or are cut off."""
        self.failure = error
        self._pieces.clear()
        self._tell()

    async def ended(self) -> None:
        while not self._ended and self.failure is None:
            await self._change.wait()

    async def play(self, send: Send) -> None:
        """Send the answer as it comes. Raises `failure`, before or after the answer has begun."""
        self.listeners += 1
        try:
            while self._head is None and self.failure is None:
                await self._change.wait()
            if self.failure is not None or self._head is None:
                raise (self.failure or errors.NanobotError)()
            status, headers = self._head
            await send({"type": "http.response.start", "status": status, "headers": [*headers, REPLAYED]})
            sent, last = 0, False
            while not last:
                while sent == len(self._pieces) and not self._ended and self.failure is None:
                    await self._change.wait()
                if self.failure is not None:
                    raise self.failure()
                body, sent, last = b"".join(self._pieces[sent:]), len(self._pieces), self._ended
                await send({"type": "http.response.body", "body": body, "more_body": not last})
        finally:
            self.listeners -= 1

    def _tell(self) -> None:
        change, self._change = self._change, asyncio.Event()
        change.set()


log = logging.getLogger(__name__)

_FIRST_LOOK_AGAIN: Final = 0.05
_LAST_LOOK_AGAIN: Final = 1.0
"""Seconds between two checks of an answer that another process makes."""


@record
class First:
    """A first request, to be ended by `keep`, `release` or `leave` of FirstAnswers."""

    recording: Recording
    claim: IdempotencyClaim
    by_key: bool


class FirstAnswers:
    """The first requests that this process is answering, and the store of first answers."""

    def __init__(self, store: IdempotencyStore, *, patience: float) -> None:
        """`patience`: seconds to wait for an answer of another process."""
        self._store = store
        self._patience = patience
        self._open: dict[tuple[str, str], Recording] = {}
        self._writes: set[asyncio.Task[None]] = set()

    async def meet(self, owner: str, asked: IdempotencyInfo, fingerprint: str) -> First | Recording:
        """First: the request is to be done. Recording: the answer of the one that was or is being done.

        Raises IdempotencyMismatch, AnswerInProgress, AnswerInterrupted (as FailedAfterActing) and AnswerNotKept, StoreUnavailable.
        """
        place = owner, f"try:{fingerprint}" if asked.key is None else f"key:{asked.key}"
        if asked.by != "first_try":  # a first try is a new request, even with the same content
            while (recording := self._open.get(place)) is not None:
                if recording.fingerprint == fingerprint:
                    return recording
                await recording.decided.wait()
                if self._open.get(place) is recording:
                    raise errors.IdempotencyMismatch(param="Idempotency-Key")
        recording = self._open[place] = Recording(fingerprint)
        expires_at = datetime.now(UTC) + asked.keep
        claim = IdempotencyClaim(id=new_id("clm"), owner=owner, key=place[1], fingerprint=fingerprint, expires_at=expires_at)
        first = First(recording=recording, claim=claim, by_key=asked.by == "key")
        if asked.by == "first_try":
            # Not awaited: the store writes in order, so this comes before anything that the request itself stores.
            self._later(_written(self._store.claim(claim, latest=True)))
            return first
        try:
            answer = await self._claim(claim, recording, anew=asked.anew)
        except FailedAfterActing as error:
            self._end(first, error_answer(error.error, acted=True))
            raise
        except errors.NanobotError as error:
            self._end(first, error_answer(error))
            raise
        except asyncio.CancelledError:
            recording.fail(errors.ShuttingDown)
            self._end(first, None)
            raise
        if answer is None:
            return first
        self._end(first, answer)
        return recording

    async def keep(self, first: First) -> None:
        """The answer is complete. With a key it is stored when this returns, unless the store fails."""
        if first.by_key:
            await self._keep(first)
        else:
            self._later(self._keep(first))

    def release(self, first: First, answer: StoredAnswer | None) -> None:
        """Nothing was done: waiting repeats get this answer (None: the recorded one), and the next request is a first one."""
        self._end(first, answer)
        self._later(_written(self._store.release(first.claim)))

    def leave(self, first: First) -> None:
        """How it ended is unknown: from now on repeats are told that the request was interrupted."""
        self._end(first, None)

    async def _claim(self, claim: IdempotencyClaim, recording: Recording, *, anew: bool) -> StoredAnswer | None:
        """The stored answer; None: the claim is ours."""
        loop = asyncio.get_running_loop()
        until, pause = loop.time() + self._patience, _FIRST_LOOK_AGAIN
        while True:
            found = await self._store.claim(claim, anew=anew)
            if found == "other":
                raise errors.IdempotencyMismatch(param="Idempotency-Key")
            recording.decided.set()
            if found == "taken":
                return None
            if isinstance(found, StoredAnswer):
                return found
            if found == "interrupted":
                raise FailedAfterActing(errors.AnswerInterrupted())
            if found == "not_kept":
                raise FailedAfterActing(errors.AnswerNotKept())
            if loop.time() >= until:
                raise errors.AnswerInProgress(retry_after=5.0)
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LAST_LOOK_AGAIN)

    def _end(self, first: First, answer: StoredAnswer | None) -> None:
        if answer is not None:
            first.recording.load(answer)
        first.recording.decided.set()
        place = first.claim.owner, first.claim.key
        if self._open.get(place) is first.recording:
            del self._open[place]

    async def _keep(self, first: First) -> None:
        try:
            await _written(self._store.finish(first.claim, first.recording.answer))
        finally:
            self._end(first, None)

    def _later(self, write: Coroutine[Any, Any, None]) -> None:
        """Write behind the answer. The store is closed after the last request, and finishes its writes first."""
        task = asyncio.create_task(write)
        self._writes.add(task)
        task.add_done_callback(self._writes.discard)


async def _written(write: Coroutine[Any, Any, object]) -> None:
    try:
        await write
    except errors.StoreUnavailable as error:
        log.warning("repeats.not_written reason=%s", error.code)
