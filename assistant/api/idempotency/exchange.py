"""First answers: waiting for one that is being made, recording it, replaying it."""

import asyncio
import logging
import re
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, Final, Literal

from python_multipart.multipart import parse_options_header
from starlette.types import Message, Scope, Send

from assistant.api.middleware.errors import FailedAfterActing, error_answer
from assistant.api.middleware.request import header, headers_named
from assistant.contracts.errors import (
    AnswerInProgress,
    AnswerInterrupted,
    AnswerNotKept,
    IdempotencyMismatch,
    InvalidRequest,
    NanobotError,
    ShuttingDown,
    StoreUnavailable,
)
from assistant.contracts.util import new_id
from assistant.store.idempotency import IdempotencyClaim, IdempotencyStore, StoredAnswer

LONGEST_KEY: Final = 255
_KEPT: Final = timedelta(hours=24)
_TRIED_AGAIN_WITHIN: Final = timedelta(minutes=15)
_KEY_FORM = re.compile(rb"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
_TRY = re.compile(rb"[0-9]{1,9}")
_HARMLESS = frozenset({"/v1/embeddings", "/v1/completions", "/v1/files"})
"""Done twice, these do nothing that was not wanted."""
_SAME_BY_KEY = _HARMLESS | {"/v1/deliveries"}
"""Done twice under one key, these do nothing twice: the delivery's id is derived from the key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IdempotencyInfo:
    """`key`: the client's own, or None where the request is known by what it holds."""

    by: Literal["key", "first_try", "later_try"]
    key: str | None
    keep: timedelta
    anew: bool
    """Whether it may simply be done again if the server died over it."""


def asked(scope: Scope) -> IdempotencyInfo | None:
    """None: it is a request like any other, and to be passed on as it is. Raises InvalidRequest for a key that can't be one."""
    key: bytes | None = None
    tries: bytes | None = None
    for name, value in scope["headers"]:
        if name == b"idempotency-key":
            key = value
        elif name == b"x-stainless-retry-count":
            tries = value
    if key is not None:
        return IdempotencyInfo(by="key", key=_checked_key(scope, key), keep=_KEPT, anew=scope["path"] in _SAME_BY_KEY)
    if tries is None or not _TRY.fullmatch(tries) or scope["path"] in _HARMLESS:
        return None
    return IdempotencyInfo(by="later_try" if int(tries) else "first_try", key=None, keep=_TRIED_AGAIN_WITHIN, anew=False)


def idempotency_key(scope: Scope) -> str | None:
    """The header's value. Raises InvalidRequest for one that can't be one."""
    values = headers_named(scope, b"idempotency-key")
    return _checked_key(scope, values[0]) if values else None


def _checked_key(scope: Scope, key: bytes) -> str:
    key = key.strip(b" \t")
    if len(headers_named(scope, b"idempotency-key")) > 1 or len(key) > LONGEST_KEY or not _KEY_FORM.fullmatch(key):
        raise InvalidRequest(
            f"Idempotency-Key must be one value of 1 to {LONGEST_KEY} printable ASCII characters.", param="Idempotency-Key"
        )
    return key.decode("ascii")


_MARK: Final = b"\r\n--\0"
"""Stands for a form's boundary."""
_CHOOSING: Final = (b"-agent-id", b"-session-key")
"""How headers end that say whose answer is wanted: x-nanobot-agent-id and its aliases."""


class Fingerprint:
    """Takes a body piece by piece, keeping none of it.

    JSON counts as it was sent, byte by byte. A form counts without its boundary, which clients draw anew for each try.
    """

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
        safe = max(0, len(rest) - len(self._boundary) + 1)  # what follows may be the beginning of a boundary
        self._digest.update(rest[:safe])
        self._held = rest[safe:]

    def finish(self) -> str:
        """Hexadecimal."""
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

Head = tuple[int, tuple[tuple[bytes, bytes], ...]]


class Recording:
    """The answer to the first request under a key: written by one, read by any number, each from the beginning and as it comes."""

    def __init__(self, fingerprint: str) -> None:
        self.fingerprint = fingerprint
        self.decided = asyncio.Event()
        """Set when it is sure that the key stands for this request."""
        self.listeners = 0
        self.failure: type[NanobotError] | None = None
        """What whoever waits is told in place of the answer."""
        self._head: Head | None = None
        self._pieces: list[bytes] = []
        self._size = 0
        self._ended = False
        self._change = asyncio.Event()

    @property
    def answer(self) -> StoredAnswer | None:
        """The whole answer; None: it is not whole, or more than is kept."""
        if self._head is None or not self._ended or self.failure is not None:
            return None
        status, headers = self._head
        return StoredAnswer(status=status, headers=headers, body=b"".join(self._pieces))

    @property
    def worth_keeping(self) -> bool:
        """Not what refuses the request or failed before it acted: a repeat is to try again."""
        return self._head is not None and (self._head[0] < 400 or (b"x-should-retry", b"false") in self._head[1])

    def take(self, message: Message) -> None:
        """Note what is sent to the first one."""
        if message["type"] == "http.response.start":
            headers = [(bytes(name).lower(), bytes(value)) for name, value in message.get("headers", ())]
            self._head = message["status"], tuple([each for each in headers if _is_kept(each[0])])
        elif self.failure is None:
            self._pieces.append(message.get("body", b""))
            self._size += len(self._pieces[-1])
            if self._size > MOST_BYTES:
                self.fail(AnswerNotKept)
        self._ended = self._ended or (message["type"] == "http.response.body" and not message.get("more_body", False))
        self._tell()

    def load(self, answer: StoredAnswer) -> None:
        """The answer is known from elsewhere."""
        self._head, self._pieces = (answer.status, answer.headers), [answer.body]
        self._ended = True
        self._tell()

    def fail(self, error: type[NanobotError]) -> None:
        """There will be no whole answer here. Whoever has begun to read one is cut off."""
        self.failure = error
        self._pieces.clear()
        self._tell()

    async def ended(self) -> None:
        while not self._ended and self.failure is None:
            await self._change.wait()

    async def play(self, send: Send) -> None:
        """Send the answer as it comes. Raises what there is in place of one, before anything was sent or in the midst of it."""
        self.listeners += 1
        try:
            while self._head is None and self.failure is None:
                await self._change.wait()
            if self.failure is not None or self._head is None:
                raise (self.failure or NanobotError)()
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


def _is_kept(name: bytes) -> bool:
    return name not in _OF_ONE_SENDING and not name.startswith(_OF_ONE_SENDER)


log = logging.getLogger(__name__)

_FIRST_LOOK_AGAIN: Final = 0.05
_LAST_LOOK_AGAIN: Final = 1.0
"""Seconds between two looks at what another process answers."""
_COME_BACK: Final = 5.0

RequestKey = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class First:
    """This request is the first: its answer is recorded, and whoever holds this ends it by `FirstAnswers.settle`."""

    recording: Recording
    claim: IdempotencyClaim
    by_key: bool


class FirstAnswers:
    """All that are being answered by this process, and the store of all that were."""

    def __init__(self, store: IdempotencyStore, *, patience: float) -> None:
        """`patience`: seconds to wait for an answer that another process makes."""
        self._store = store
        self._patience = patience
        self._open: dict[RequestKey, Recording] = {}
        self._writes: set[asyncio.Task[None]] = set()

    async def meet(self, owner: str, asked: IdempotencyInfo, fingerprint: str) -> First | Recording:
        """First: do it. Recording: it was done or is being done, and that is the answer.

        Raises IdempotencyMismatch, AnswerInProgress, AnswerInterrupted (as FailedAfterActing) and AnswerNotKept, StoreUnavailable.
        """
        place = owner, f"try:{fingerprint}" if asked.key is None else f"key:{asked.key}"
        if asked.by != "first_try":  # a first try is a request of its own, whatever was asked before in the same words
            while (recording := self._open.get(place)) is not None:
                if recording.fingerprint == fingerprint:
                    return recording
                await recording.decided.wait()
                if self._open.get(place) is recording:
                    raise IdempotencyMismatch(param="Idempotency-Key")
        recording = self._open[place] = Recording(fingerprint)
        expires_at = datetime.now(UTC) + asked.keep
        claim = IdempotencyClaim(id=new_id("clm"), owner=owner, key=place[1], fingerprint=fingerprint, expires_at=expires_at)
        first = First(recording=recording, claim=claim, by_key=asked.by == "key")
        if asked.by == "first_try":
            # Not waited for: the store writes in order, so it is kept before anything that the request itself brings into the store.
            self._later(self._claim_latest(claim))
            return first
        try:
            answer = await self._claim(claim, recording, anew=asked.anew)
        except FailedAfterActing as error:
            self._end(first, error_answer(error.error, acted=True))
            raise
        except NanobotError as error:
            self._end(first, error_answer(error))
            raise
        except asyncio.CancelledError:
            recording.fail(ShuttingDown)
            self._end(first, None)
            raise
        if answer is None:
            return first
        self._end(first, answer)
        return recording

    async def keep(self, first: First) -> None:
        """The answer is whole (or too large to be kept). By key, it is in the store when this returns, unless the store refuses."""
        if first.by_key:
            await self._keep(first)
        else:
            self._later(self._keep(first))

    def release(self, first: First, answer: StoredAnswer | None) -> None:
        """Nothing came of it: those who wait now get this answer (None: what was recorded), and the next one is the first."""
        self._end(first, answer)
        self._later(self._release(first.claim))

    def leave(self, first: First) -> None:
        """It will not be known how it ended: from now on the key stands for a request that was interrupted."""
        self._end(first, None)

    async def _claim(self, claim: IdempotencyClaim, recording: Recording, *, anew: bool) -> StoredAnswer | None:
        """None: it is ours."""
        loop = asyncio.get_running_loop()
        until, pause = loop.time() + self._patience, _FIRST_LOOK_AGAIN
        while True:
            found = await self._store.claim(claim, anew=anew)
            if found == "other":
                raise IdempotencyMismatch(param="Idempotency-Key")
            recording.decided.set()
            if found == "taken":
                return None
            if isinstance(found, StoredAnswer):
                return found
            if found == "interrupted":
                raise FailedAfterActing(AnswerInterrupted())
            if found == "not_kept":
                raise FailedAfterActing(AnswerNotKept())
            if loop.time() >= until:
                raise AnswerInProgress(retry_after=_COME_BACK)
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
            await self._store.finish(first.claim, first.recording.answer)
        except StoreUnavailable as error:
            log.warning("repeats.not_kept reason=%s", error.code)
        finally:
            self._end(first, None)

    async def _release(self, claim: IdempotencyClaim) -> None:
        try:
            await self._store.release(claim)
        except StoreUnavailable as error:
            log.warning("repeats.not_released reason=%s", error.code)

    async def _claim_latest(self, claim: IdempotencyClaim) -> None:
        try:
            await self._store.claim(claim, latest=True)
        except StoreUnavailable as error:
            log.warning("repeats.not_noted reason=%s", error.code)

    def _later(self, write: Coroutine[Any, Any, None]) -> None:
        """Behind the answer. The store is closed after the last request, and writes what was asked of it until then."""
        task = asyncio.create_task(write)
        self._writes.add(task)
        task.add_done_callback(self._writes.discard)
