"""Answers a POST that is sent again with its first answer."""

import re
from collections import deque
from datetime import timedelta
from typing import Any, Final

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from assistant.api.idempotency.exchange import LONGEST_KEY, Fingerprint, First, FirstAnswers, IdempotencyInfo, Recording, idempotency_key
from assistant.api.middleware.errors import FailedAfterActing, error_answer, has_body
from assistant.api.middleware.request import state_of
from assistant.api.openapi import WHY
from assistant.contracts.errors import AnswerInterrupted, NanobotError
from assistant.store.idempotency import IdempotencyStore

_READ_AHEAD: Final = 64 * 1024
"""Bytes of a body that are read before the routes are called; the rest is read on the way to them."""
_KEPT: Final = timedelta(hours=24)
_KEPT_WITHOUT_KEY: Final = timedelta(minutes=15)
_TRY = re.compile(rb"[0-9]{1,9}")
_HARMLESS = frozenset({"/v1/embeddings", "/v1/completions", "/v1/files"})
"""Done twice, these do nothing unwanted."""
_SAME_BY_KEY = _HARMLESS | {"/v1/deliveries"}
"""Done twice under one key, these do nothing twice: a delivery's id is derived from the key."""
_KEY: Final = b"idempotency-key"
_TRIES: Final = b"x-stainless-retry-count"


def recognised(scope: Scope, marks: dict[bytes, bytes]) -> IdempotencyInfo | None:
    """None: repeats of this request are not recognised. `marks`: its headers `_KEY` and `_TRIES`. Raises InvalidRequest for an invalid key."""
    path, tries = scope["path"], marks.get(_TRIES)
    if _KEY in marks:
        return IdempotencyInfo(by="key", key=idempotency_key(scope), keep=_KEPT, anew=path in _SAME_BY_KEY)
    if tries is None or not _TRY.fullmatch(tries) or path in _HARMLESS:
        return None
    return IdempotencyInfo(by="later_try" if int(tries) else "first_try", key=None, keep=_KEPT_WITHOUT_KEY, anew=False)


class IdempotencyMiddleware:
    """Answers a POST that is sent again with its first answer, without doing it again.

    With an `Idempotency-Key`: for 24 hours, marked `Idempotency-Replayed: true`; a repeat that comes while the first is being answered gets
    the same answer as it is made. Without a key, an automatic retry of OpenAI's clients (`x-stainless-retry-count` of 1 or more) joins their
    last request with the same content, for 15 minutes. Refusals, and failures before anything was done, are not kept.
    """

    def __init__(self, app: ASGIApp, store: IdempotencyStore, *, patience: float) -> None:
        self._app = app
        self._answers = FirstAnswers(store, patience=patience)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        who = state_of(scope).principal if scope["type"] == "http" and scope["method"] == "POST" else None
        marks = {name: value for name, value in scope["headers"] if name in (_KEY, _TRIES)} if who is not None else {}
        info = recognised(scope, marks) if marks else None
        if who is None or info is None:
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(self._answers, who.id, info, scope, receive, send)
        await exchange.read_ahead()
        if exchange.joined is None:
            await exchange.answer(self._app, scope)
        if exchange.joined is not None:
            await exchange.joined.play(send)


class _Joined(Exception):
    """Raised into the routes when the body is complete and the request is a repeat."""


class _Exchange:
    """One request. Its body is read on the way to the routes, which get the end of it only if the request is a first one."""

    def __init__(self, answers: FirstAnswers, owner: str, info: IdempotencyInfo, scope: Scope, receive: Receive, send: Send) -> None:
        self.joined: Recording | None = None
        self._first: First | None = None
        self._answers = answers
        self._owner = owner
        self._info = info
        self._receive = receive
        self._send = send
        self._fingerprint = Fingerprint(scope)
        self._ahead: deque[Message] = deque()
        self._whole = not has_body(scope)
        self._size = 0

    async def read_ahead(self) -> None:
        """Read a small body. Raises what reading it raises."""
        try:
            if self._whole:
                await self._meet()
            while not self._whole and self._size <= _READ_AHEAD:
                self._ahead.append(await self._next())
        except _Joined:
            return

    async def answer(self, app: ASGIApp, scope: Scope) -> None:
        try:
            await app(scope, self._take, self._pass_on)
        except _Joined:
            return
        except FailedAfterActing as failed:
            if first := self._settled():
                first.recording.load(error_answer(failed.error, acted=True))
                await self._answers.keep(first)
            raise
        except NanobotError as error:
            if first := self._settled():
                self._answers.release(first, error_answer(error))
            raise
        finally:
            # Cut off, or a bug: it may have done something. The claim stays, so that a repeat is told.
            if first := self._settled():
                first.recording.fail(AnswerInterrupted)
                self._answers.leave(first)

    async def _take(self) -> Message:
        if self.joined is not None:
            raise _Joined
        if self._ahead:
            return self._ahead.popleft()
        if not self._whole:
            return await self._next()
        message = await self._receive()
        if message["type"] == "http.disconnect" and self._first is not None and self._first.recording.listeners:
            await self._first.recording.ended()  # repeats wait for it
        return message

    async def _next(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        body = message.get("body", b"")
        self._size += len(body)
        self._fingerprint.add(body)
        if not message.get("more_body", False):
            self._whole = True
            await self._meet()
        return message

    async def _meet(self) -> None:
        met = await self._answers.meet(self._owner, self._info, self._fingerprint.finish())
        if isinstance(met, First):
            self._first = met
        else:
            self.joined = met
            raise _Joined

    async def _pass_on(self, message: Message) -> None:
        if self.joined is not None:  # the routes' answer to a body without its end
            return
        first = self._first
        if first is not None:
            first.recording.take(message)
            if message["type"] == "http.response.body" and not message.get("more_body", False):
                self._settled()
                if first.recording.worth_keeping:
                    await self._answers.keep(first)
                else:
                    self._answers.release(first, None)
        await self._send(message)

    def _settled(self) -> First | None:
        """The request to settle, once."""
        first, self._first = self._first, None
        return first


_PARAMETER: Final[dict[str, Any]] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Yours, for this request: for 24 hours, a repeat under the same key does nothing new and gets the first answer, marked "
    "`Idempotency-Replayed: true`.",
    "schema": {"type": "string", "minLength": 1, "maxLength": LONGEST_KEY, "pattern": "^[!-~]([ -~]*[!-~])?$"},
}


def describe_repeats(operation: dict[str, Any]) -> None:
    """Add the header and its errors to a POST's description."""
    operation.setdefault("parameters", []).append(_PARAMETER)
    for status in ("400", "409", "422"):
        if status not in operation["responses"]:
            schema = {"$ref": "#/components/schemas/ErrorAnswer"}
            operation["responses"][status] = {"description": WHY[int(status)], "content": {"application/json": {"schema": schema}}}
